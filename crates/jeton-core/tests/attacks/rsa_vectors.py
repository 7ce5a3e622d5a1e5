"""Writes rsa_vectors.json: RSA signatures that no library can be asked to make.

A throwaway key signs padded messages that are wrong in one way each. The private key is not kept; the tests need only
the public half and the tokens. Run it again to get new ones: python3 rsa_vectors.py > rsa_vectors.json
"""
import base64, hashlib, json, secrets

def b64(b): return base64.urlsafe_b64encode(b).rstrip(b"=").decode()

def is_prime(n, rounds=24):
    if any(n % p == 0 for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)): return False
    d, r = n - 1, 0
    while d % 2 == 0: d, r = d // 2, r + 1
    for _ in range(rounds):
        x = pow(secrets.randbelow(n - 3) + 2, d, n)
        if x in (1, n - 1): continue
        for _ in range(r - 1):
            x = x * x % n
            if x == n - 1: break
        else: return False
    return True

def prime(bits, e):
    while True:
        p = secrets.randbits(bits) | (3 << bits - 2) | 1
        if (p - 1) % e and is_prime(p): return p

def key(e, bits=2048):
    p, q = prime(bits // 2, e), prime(bits // 2, e)
    return p * q, pow(e, -1, (p - 1) * (q - 1))

K = 256
claims = b64(json.dumps({"iss": "https://issuer.example", "sub": "someone", "aud": "api", "iat": 1800000000, "exp": 4102444800}).encode())
SHA256 = bytes.fromhex("3031300d060960864801650304020105000420")

def pkcs1(digest, prefix=SHA256, start=b"\x00\x01", fill=0xFF, sep=b"\x00", trail=b"", short=None):
    body = sep + prefix + digest + trail
    pad = K - len(start) - len(body) if short is None else short
    em = start + bytes([fill]) * pad + body
    return em + secrets.token_bytes(K - len(em))

def mgf(seed, n):
    out = b"".join(hashlib.sha256(seed + i.to_bytes(4, "big")).digest() for i in range(n // 32 + 1))
    return out[:n]

def pss(digest, salt_len, trailer=0xBC):
    salt = secrets.token_bytes(salt_len)
    h = hashlib.sha256(bytes(8) + digest + salt).digest()
    db = bytes(K - salt_len - 34) + b"\x01" + salt
    masked = bytearray(a ^ b for a, b in zip(db, mgf(h, len(db))))
    masked[0] &= 0x7F
    return bytes(masked) + h + bytes([trailer])

n, d = key(65537)
rows = []
def token(alg, make, as_number=None, nonce=0):
    signed = b64(json.dumps({"alg": alg, "kid": "vector", "x": nonce}).encode()) + "." + claims
    digest = hashlib.sha256(signed.encode()).digest()
    s = pow(int.from_bytes(make(digest), "big"), d, n)
    s = as_number(s) if as_number else s
    if s >= 1 << 8 * K: return token(alg, make, as_number, nonce + 1)
    return signed + "." + b64(s.to_bytes(K, "big"))

def row(name, accepted, alg, make, as_number=None): rows.append({"name": name, "accepted": accepted, "token": token(alg, make, as_number)})

row("pkcs1 as it should be", True, "RS256", pkcs1)
row("pkcs1 block type 0", False, "RS256", lambda h: pkcs1(h, start=b"\x00\x00"))
row("pkcs1 block type 2", False, "RS256", lambda h: pkcs1(h, start=b"\x00\x02"))
row("pkcs1 padding of zeros", False, "RS256", lambda h: pkcs1(h, fill=0))
row("pkcs1 padding of 0xfe", False, "RS256", lambda h: pkcs1(h, fill=0xFE))
row("pkcs1 without separator", False, "RS256", lambda h: pkcs1(h, sep=b""))
row("pkcs1 short padding, garbage behind", False, "RS256", lambda h: pkcs1(h, short=8))
row("pkcs1 no padding, garbage behind", False, "RS256", lambda h: pkcs1(h, short=0))
row("pkcs1 one byte of garbage behind", False, "RS256", lambda h: pkcs1(h, trail=b"\x00"))
row("pkcs1 no digest info", False, "RS256", lambda h: pkcs1(h, prefix=b""))
row("pkcs1 digest info of sha-1", False, "RS256", lambda h: pkcs1(h, prefix=bytes.fromhex("3021300906052b0e03021a05000414")))
row("pkcs1 digest info without null", False, "RS256", lambda h: pkcs1(h, prefix=bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"))
row("pkcs1 digest info of sha-512", False, "RS256", lambda h: pkcs1(h, prefix=bytes.fromhex("3051300d060960864801650304020305000440")))
row("pkcs1 digest info in long form", False, "RS256", lambda h: pkcs1(h, prefix=bytes.fromhex("308131300d060960864801650304020105000420")))
row("pkcs1 plus n", False, "RS256", pkcs1, lambda s: s + n)
row("zero", False, "RS256", pkcs1, lambda s: 0)
row("one", False, "RS256", pkcs1, lambda s: 1)
row("n", False, "RS256", pkcs1, lambda s: n)
row("n - 1", False, "RS256", pkcs1, lambda s: n - 1)
row("negated", False, "RS256", pkcs1, lambda s: n - s)
row("pss as it should be", True, "PS256", lambda h: pss(h, 32))
row("pss salt of 0", False, "PS256", lambda h: pss(h, 0))
row("pss salt of 20", False, "PS256", lambda h: pss(h, 20))
row("pss salt as long as can be", False, "PS256", lambda h: pss(h, 222))
row("pss trailer", False, "PS256", lambda h: pss(h, 32, 0xCC))
row("pss in the name of pkcs1", False, "RS256", lambda h: pss(h, 32))
row("pkcs1 in the name of pss", False, "PS256", pkcs1)

# e = 3: a cube whose top looks like a padded hash, without any private key (Bleichenbacher 2006).
n3, _ = key(3)
def cube_root(x):
    lo, hi = 0, 1 << (x.bit_length() // 3 + 2)
    while lo < hi:
        mid = (lo + hi) // 2
        if mid ** 3 < x: lo = mid + 1
        else: hi = mid
    return lo
signed = b64(json.dumps({"alg": "RS256", "kid": "three"}).encode()) + "." + claims
em = b"\x00\x01" + b"\xff" * 8 + b"\x00" + SHA256 + hashlib.sha256(signed.encode()).digest()
root = cube_root(int.from_bytes(em + bytes(K - len(em)), "big"))
assert (root ** 3).to_bytes(K, "big").startswith(em)
forged = signed + "." + b64(root.to_bytes(K, "big"))
rows.append({"name": "e = 3, a cube", "accepted": False, "token": forged})

def jwk(kid, n, e): return {"kty": "RSA", "kid": kid, "n": b64(n.to_bytes(K, "big")), "e": b64(e.to_bytes((e.bit_length() + 7) // 8, "big"))}
print(json.dumps({"keys": [jwk("vector", n, 65537), jwk("three", n3, 3)], "rows": rows}, indent=1))

//! Row D1 (files are read anew), fault 77 and section 3 of the fault list: what a token file may be.
use super::*;
use std::os::unix::fs::symlink;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn fault_77_only_a_small_regular_file_of_text_is_a_token_file() {
    let dir = folder();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("good"), "abc\n").unwrap();
    std::fs::write(at("crlf"), "abc \r\n\n").unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("blank"), " \n").unwrap();
    std::fs::write(at("large"), vec![b'a'; FILE_CAP as usize + 1]).unwrap();
    std::fs::write(at("full"), vec![b'a'; FILE_CAP as usize]).unwrap();
    std::fs::write(at("binary"), [0xff, 0xfe, 0]).unwrap();
    std::fs::write(at("lines"), "abc\ndef\n").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    symlink(at("good"), at("link")).unwrap();
    symlink(at("nowhere"), at("dangling")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), Mode::RUSR).unwrap();
    let rows: [(&str, Result<usize, Class>); 13] = [
        ("good", Ok(3)),
        ("crlf", Ok(3)),
        ("full", Ok(FILE_CAP as usize)),
        ("missing", Err(Class::NotFound)),
        ("good/below", Err(Class::NotFound)),
        ("empty", Err(Class::Token)),
        ("blank", Err(Class::Token)),
        ("large", Err(Class::Token)),
        ("binary", Err(Class::Token)),
        ("lines", Err(Class::Token)),
        ("folder", Err(Class::Token)),
        ("link", Err(Class::Token)),
        ("fifo", Err(Class::Token)),
    ];
    for (name, expected) in rows {
        let result = TokenFile::named(at(name)).read_now();
        let result = result.map(|s| s.reveal().len()).map_err(|e| e.kind());
        assert_eq!(result, expected, "{name}");
    }
    // A key in PEM has lines, and nothing else that is strange.
    let lined = |name: &str| TokenFile::named(at(name)).lined().read_now();
    assert_eq!(lined("lines").unwrap().reveal(), "abc\ndef");
    assert_eq!(lined("binary").unwrap_err().kind(), Class::Token);
    let class = |path: PathBuf| TokenFile::named(path).read_now().unwrap_err().kind();
    assert_eq!(class(at("dangling")), Class::Token);
    assert_eq!(class("/dev/null".into()), Class::Token);
}

#[test]
fn a_missing_file_is_not_found_for_a_user_and_a_wrong_setting_for_a_platform() {
    let error = TokenFile::of_platform("/nowhere/t", "X_TOKEN_FILE")
        .read_now()
        .unwrap_err();
    assert_eq!(error.kind(), Class::Config);
    assert_eq!(
        error.to_string(),
        "/nowhere/t (named by X_TOKEN_FILE) does not exist"
    );
    let error = TokenFile::named("/nowhere/t").read_now().unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (Class::NotFound, "/nowhere/t does not exist")
    );
}

fn kubelet_volume(dir: &Path, stamp: &str, token: &str) {
    std::fs::create_dir(dir.join(stamp)).unwrap();
    std::fs::write(dir.join(stamp).join("token"), token).unwrap();
    let _ = std::fs::remove_file(dir.join("..data"));
    symlink(stamp, dir.join("..data")).unwrap();
}

#[test]
fn fault_77_the_kubelets_links_are_followed_and_no_other() {
    let dir = folder();
    kubelet_volume(dir.path(), "..2026_01_01_00_00_00.1", "first");
    let path = dir.path().join("token");
    symlink("..data/token", &path).unwrap();
    let read = || {
        TokenFile::named(&path)
            .read_now()
            .map(|s| s.reveal().to_owned())
            .map_err(|e| e.kind())
    };
    assert_eq!(read(), Ok("first".to_owned()));
    kubelet_volume(dir.path(), "..2026_01_02_00_00_00.2", "second");
    assert_eq!(
        read(),
        Ok("second".to_owned()),
        "the path is opened anew each time"
    );
    std::fs::remove_file(dir.path().join("..data")).unwrap();
    symlink("/etc", dir.path().join("..data")).unwrap();
    assert_eq!(read(), Err(Class::Token), "..data must point beside itself");
    std::fs::remove_file(&path).unwrap();
    symlink("..data/../../secret", &path).unwrap();
    assert_eq!(read(), Err(Class::Token), "no way out of the volume");
}

#[tokio::test(start_paused = true)]
async fn fault_77_a_file_that_a_platform_replaces_is_waited_for() {
    let dir = folder();
    let path = dir.path().join("token");
    let file = TokenFile::of_platform(&path, "X").replaced();
    let writer = async {
        tokio::time::sleep(REPLACED_WAIT * 2).await;
        std::fs::write(&path, "late").unwrap();
    };
    let (read, ()) = tokio::join!(file.read(), writer);
    assert_eq!(read.unwrap().reveal(), "late");
    std::fs::remove_file(&path).unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(file.read().await.unwrap_err().kind(), Class::Config);
    assert_eq!(begun.elapsed().as_millis(), 300, "three more looks, 100 ms apart");
    let begun = tokio::time::Instant::now();
    assert!(TokenFile::named(&path).read().await.is_err());
    assert_eq!(
        begun.elapsed().as_millis(),
        0,
        "nobody replaces a file that the user named"
    );
}

#[test]
fn a_token_written_in_the_place_of_a_path_is_not_shown() {
    let error = TokenFile::named("eyJhbGciOiJub25lIn0.e30.x")
        .read_now()
        .unwrap_err();
    assert_eq!(error.to_string(), "[redacted] does not exist");
}

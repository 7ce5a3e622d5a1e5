//! One flight per key on the machine.

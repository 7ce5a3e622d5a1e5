//! What a process that holds tokens takes from itself: core dumps, and being read by a debugger; and what one that
//! serves many takes for itself: descriptors.
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// How many descriptors a server asks for at most: two for each connection that [`crate::service`] accepts, and some.
const DESCRIPTORS: u64 = 16 * 1024;

/// Raises the number of descriptors to what the system allows: the usual 1024 are meant for programs that use
/// `select(2)`. Not for programs that start others, which would inherit it.
pub fn take_room() {
    let limit = getrlimit(Resource::Nofile);
    let allowed = limit
        .maximum
        .map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < allowed) {
        let more = Rlimit {
            current: Some(allowed),
            maximum: limit.maximum,
        };
        let _ = setrlimit(Resource::Nofile, more);
    }
}

/// From now on this process leaves no core and is not read by other programs of its user. What the system does not
/// let it do is left undone: it is a second line of defence.
pub fn seal() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

//! What a process that holds tokens takes from itself: core dumps, and being read by a debugger.
use rustix::process::{Resource, Rlimit, setrlimit};

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

//! The project's recipes. `cargo xtask` lists them; `.ci/run` runs the one called `ci`.
//!
//! Every recipe is a function from the [`Workspace`] to an [`Outcome`]; the table [`RECIPES`] is the
//! whole of the command line.

mod bench;
mod ci;
mod deny;
mod docs;
mod fuzz;
mod night;
mod postgres;
mod report;
mod run;
mod strangers;
mod suite;
mod tidy;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

/// What a recipe ends with: the sentence to show when it did not work.
type Outcome<T = ()> = Result<T, String>;

/// A recipe: its name, what it does, and the function that does it.
struct Recipe {
    name: &'static str,
    about: &'static str,
    run: fn(&Workspace, &[String]) -> Outcome,
}

/// Every recipe, in the order in which a reader wants to meet them.
const RECIPES: &[Recipe] = &[
    Recipe {
        name: "test",
        about: "install what tests need, then run all of them",
        run: suite::test,
    },
    Recipe {
        name: "ci",
        about: "everything that has to hold before a change lands",
        run: ci::ci,
    },
    Recipe {
        name: "tidy",
        about: "the rules of the house, over sources and dependencies",
        run: tidy::tidy,
    },
    Recipe {
        name: "deny",
        about: "the dependency policy of deny.toml",
        run: deny::deny,
    },
    Recipe {
        name: "docs",
        about: "write the pages that are made from the program; --check compares",
        run: docs::docs,
    },
    Recipe {
        name: "postgres",
        about: "the broker's tests on a real PostgreSQL, in a throwaway cluster",
        run: postgres::postgres,
    },
    Recipe {
        name: "strangers",
        about: "other people's clients and servers against ours; a word chooses scripts",
        run: strangers::strangers,
    },
    Recipe {
        name: "fuzz",
        about: "every fuzz target for --seconds 5 each, on stable Rust; a name chooses one",
        run: fuzz::fuzz,
    },
    Recipe {
        name: "bench",
        about: "our times beside the floor and beside other people's, into BENCHMARKS.md; `slim`: what signing costs a warm start",
        run: bench::bench,
    },
    Recipe {
        name: "nightly",
        about: "what takes longer: every fuzz target for 60 s (libFuzzer where it is installed), pages in a Chromium, 10 GiB through a proxy",
        run: night::nightly,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, rest)) = arguments.split_first() else {
        return usage("which recipe?");
    };
    let Some(recipe) = RECIPES.iter().find(|recipe| recipe.name == name) else {
        return usage(&format!("no recipe is called `{name}`"));
    };
    match Workspace::here().and_then(|workspace| (recipe.run)(&workspace, rest)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            if !reason.is_empty() {
                report::failure(&reason);
            }
            ExitCode::FAILURE
        }
    }
}

fn usage(reason: &str) -> ExitCode {
    report::failure(reason);
    for recipe in RECIPES {
        report::note(&format!("  cargo xtask {:<10} {}", recipe.name, recipe.about));
    }
    /// The exit code of a usage error, as in the command line's own table.
    const USAGE: u8 = 2;
    ExitCode::from(USAGE)
}

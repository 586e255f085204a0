//! Why the program ends before it has begun.

/// The end of the program instead of a configuration: help, the version, or a mistake in what was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Asked for: the text goes to stdout as it is.
    Asked(String),
    /// A mistake, in a line without the program's name.
    Usage(String),
}

impl Exit {
    /// Prints what there is to say, to stdout or stderr, and returns the exit code. A closed stdout or
    /// stderr is nobody's to tell.
    pub fn report(&self) -> u8 {
        use std::io::Write as _;
        match self {
            Self::Asked(text) => {
                let _ = std::io::stdout().write_all(text.as_bytes());
                0
            }
            Self::Usage(what) => {
                let _ = writeln!(std::io::stderr(), "tallygate: error: {what}, try --help");
                1
            }
        }
    }
}

use futures_util::future::BoxFuture;

use crate::{Capability, Context, Promise, Target, failure::Failure};

/// One property of a store that the suite tests.
#[derive(Clone, Copy)]
pub struct Case {
    pub(crate) promise: Promise,
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
    pub(crate) shows: &'static str,
    pub(crate) needs: &'static [Capability],
    pub(crate) run: fn(Context) -> BoxFuture<'static, Result<(), Failure>>,
}

impl Case {
    /// The promise that the case tests.
    pub fn promise(&self) -> Promise {
        self.promise
    }

    /// What the case shows, in a sentence.
    pub fn shows(&self) -> &'static str {
        self.shows.trim()
    }

    /// The name in the list, without the target: `p05_touch::what_is_absent_stays_absent`.
    pub fn name(&self) -> String {
        let file = self.file.rsplit("::").next().unwrap_or(self.file);
        format!("{file}::{}", self.name)
    }

    /// The reason why `target` cannot run this case, or `None` if it can.
    pub(crate) fn not_proven_by(&self, target: &Target) -> Option<String> {
        self.needs.iter().find_map(|ability| target.lacks(*ability))
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Case")
            .field("promise", &self.promise)
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// Defines the cases of one promise together with their list, so that every case is in the list.
///
/// The doc comment of each case says what it shows. It is printed when the case fails.
macro_rules! cases {
    (
        promise $promise:ident;
        $(
            $(#[doc = $shows:literal])+
            $(#[needs($($need:ident),+)])?
            async fn $name:ident($cx:ident) $body:block
        )+
    ) => {
        pub(super) const CASES: &[$crate::case::Case] = &[$(
            $crate::case::Case {
                promise: $crate::Promise::$promise,
                file: module_path!(),
                name: stringify!($name),
                shows: concat!($($shows),+),
                needs: &[$($($crate::Capability::$need),+)?],
                run: |$cx| Box::pin(async move {
                    $body
                    Ok(())
                }),
            }
        ),+];
    };
}

pub(crate) use cases;

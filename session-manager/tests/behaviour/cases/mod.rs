mod basics;
mod change_of_owner;
mod codecs;
mod concurrency;
mod ended;
mod expiry;
mod ids;
mod late;
mod owners;
mod refresh;
mod trouble;

use std::{future::Future, pin::Pin};

use crate::support::Context;

#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) file: &'static str,
    pub(crate) name: &'static str,
    pub(crate) run: fn(Context) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// The cases of a file. Each is an `async fn` that takes a context.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) fn all() -> Vec<crate::cases::Case> {
            vec![$(crate::cases::Case {
                file: module_path!(),
                name: stringify!($name),
                run: |context| Box::pin($name(context)),
            }),*]
        }
    };
}
use cases;

pub(crate) fn all() -> Vec<Case> {
    let files = [
        basics::all(),
        change_of_owner::all(),
        codecs::all(),
        concurrency::all(),
        ended::all(),
        expiry::all(),
        ids::all(),
        late::all(),
        owners::all(),
        refresh::all(),
        trouble::all(),
    ];
    files.into_iter().flatten().collect()
}

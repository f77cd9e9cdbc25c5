use super::{Spec, ours, plain};

/// All candidates that were compiled in, in the order of the report.
pub fn all() -> Vec<Spec> {
    let mut specs = ours::specs();
    specs.extend(plain::specs());
    #[cfg(feature = "peers")]
    specs.extend(crate::peers::specs());
    specs.sort_by_key(|spec| (spec.description.engine, spec.description.kind));
    specs
}

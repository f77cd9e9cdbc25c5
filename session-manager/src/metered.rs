/// To come.
#[derive(Debug)]
pub struct Metered<S>(S);

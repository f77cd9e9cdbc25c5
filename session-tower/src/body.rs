use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response that has passed a [`SessionLayer`](crate::SessionLayer): the
    /// handler's body, or the body of the failure response. Frames pass through unchanged.
    #[derive(Clone, Copy, Debug)]
    pub struct ResponseBody<B, F> {
        #[pin]
        inner: Either<B, F>,
    }
}

impl<B, F> ResponseBody<B, F> {
    pub(crate) fn of_handler(body: B) -> Self {
        Self { inner: Either::Left(body) }
    }

    pub(crate) fn of_failure(body: F) -> Self {
        Self { inner: Either::Right(body) }
    }
}

impl<B: Default, F> Default for ResponseBody<B, F> {
    fn default() -> Self {
        Self::of_handler(B::default())
    }
}

impl<B, F> Body for ResponseBody<B, F>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
    F: Body<Data = B::Data, Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Data = B::Data;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.project().inner.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

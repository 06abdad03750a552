//! Pages as a stream: the connector says what a page is and where the next one
//! stands; that the walk ends is made sure of here.

use std::collections::HashSet;
use std::hash::Hash;

use futures::stream::{Stream, try_unfold};

/// Pages of one listing. At the smallest page size in use (20) this is two million
/// rows; a listing that goes on is a server that never says "last".
pub const PAGES_MAX: usize = 100_000;

/// A walk over pages ended badly.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PageError<E> {
    /// A page could not be read.
    #[error(transparent)]
    Fetch(E),
    /// A page named a place as the next one which was read already.
    #[error("page {page} points back to a page that was read before")]
    Repeated {
        /// The number of the page, from 1.
        page: usize,
    },
    /// The limit on pages was reached.
    #[error("more than {limit} pages, which is the limit for one listing")]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

/// Walks over pages from `first` on until a page names no next one.
///
/// `fetch` reads the page at a token (an offset, a continuation token, a URL) and
/// returns it with the token of the next. Pages are read one after the other, and
/// only as fast as the stream is consumed.
pub fn pages<K, T, E, F, Fut>(
    first: K,
    pages_max: usize,
    fetch: F,
) -> impl Stream<Item = Result<T, PageError<E>>>
where
    K: Clone + Eq + Hash,
    F: FnMut(K) -> Fut,
    Fut: Future<Output = Result<(T, Option<K>), E>>,
{
    struct Walk<K, F> {
        next: Option<K>,
        seen: HashSet<K>,
        fetch: F,
    }
    let walk = Walk { next: Some(first.clone()), seen: HashSet::from([first]), fetch };
    try_unfold(walk, move |mut walk| async move {
        let Some(token) = walk.next.take() else { return Ok(None) };
        if walk.seen.len() > pages_max {
            return Err(PageError::TooMany { limit: pages_max });
        }
        let (page, next) = (walk.fetch)(token).await.map_err(PageError::Fetch)?;
        if let Some(next) = next {
            if !walk.seen.insert(next.clone()) {
                return Err(PageError::Repeated { page: walk.seen.len() });
            }
            walk.next = Some(next);
        }
        Ok(Some((page, walk)))
    })
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    type Walked = Result<Vec<u32>, PageError<&'static str>>;

    #[tokio::test]
    async fn pages_are_walked_until_none_is_next() {
        let walked: Walked =
            pages(0u32, 10, |at| async move { Ok((at, (at < 3).then_some(at + 1))) }).try_collect().await;
        assert_eq!(walked, Ok(vec![0, 1, 2, 3]));
    }

    #[tokio::test]
    async fn repeated_token_is_an_error() {
        let walked: Walked =
            pages(0u32, 10, |at| async move { Ok((at, Some((at + 1) % 3))) }).try_collect().await;
        assert_eq!(walked, Err(PageError::Repeated { page: 3 }));
    }

    #[tokio::test]
    async fn endless_listing_ends_at_the_limit() {
        let walked: Walked = pages(0u32, 4, |at| async move { Ok((at, Some(at + 1))) }).try_collect().await;
        assert_eq!(walked, Err(PageError::TooMany { limit: 4 }));
    }

    #[tokio::test]
    async fn listing_of_exactly_the_limit_is_whole() {
        let walked: Walked =
            pages(0u32, 4, |at| async move { Ok((at, (at < 3).then_some(at + 1))) }).try_collect().await;
        assert_eq!(walked, Ok(vec![0, 1, 2, 3]));
    }
}

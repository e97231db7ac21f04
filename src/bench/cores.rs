use anyhow::{Result, anyhow};

/// Cores this process may use.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Makes something of every item, on all cores; the results stand in the order of the items.
pub(super) fn map<I: Sync, T: Send>(
    items: &[I],
    make: impl Fn(&I) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let share = items.len().div_ceil(count()).max(1);
    let make = &make;
    std::thread::scope(|scope| {
        let threads: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(make).collect::<Result<Vec<T>>>()))
            .collect();
        let mut all = Vec::with_capacity(items.len());
        for thread in threads {
            all.extend(thread.join().map_err(|_| anyhow!("a thread panicked"))??);
        }
        Ok(all)
    })
}

/// Does long work on a thread of its own, so that a signal to stop is heard meanwhile.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

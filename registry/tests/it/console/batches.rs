//! Batches page by page, and uploads that are open.

use crate::network::{Network, rows};
use muster_api::limits;
use muster_registry::{BatchPage, BatchSearch};

async fn page(network: &Network, before: Option<u64>) -> BatchPage {
    let search = BatchSearch { owner: Some(network.owner()), model: None, before };
    network.registry.find_batches(&search).await.expect("a page")
}

#[tokio::test]
async fn every_batch_is_seen_once_newest_first_whatever_comes_meanwhile() {
    let network = Network::new().await;
    let most = limits::SEARCH_PAGE;
    let mut enrolled = Vec::new();
    for n in 0..=most {
        enrolled.push(network.enrol(&network.devices(n..n + 1)).await.to_string());
    }
    let first = page(&network, None).await;
    assert_eq!((first.batches, first.devices), (most + 1, most + 1));
    assert_eq!(first.rows.len() as u64, most);
    // One more shifts nothing.
    let later = network.enrol(&network.devices(most + 1..most + 4)).await.to_string();
    let second = page(&network, first.next).await;
    assert_eq!(second.next, None);
    let seen = first.rows.iter().chain(&second.rows).map(|row| row.batch.batch.clone());
    let seen: Vec<String> = seen.collect();
    enrolled.reverse();
    assert_eq!(seen, enrolled);
    for row in &first.rows {
        assert_eq!(row.enrolled.entry, row.batch.entry);
        assert_eq!((row.enrolled.action.as_str(), row.states.active), ("enrol", 1));
    }
    assert_eq!(page(&network, None).await.rows[0].batch.batch, later);
    let other = BatchSearch { owner: Some(Network::owner_of_nobody()), ..BatchSearch::default() };
    assert!(network.registry.find_batches(&other).await.expect("a page").rows.is_empty());
    let model = BatchSearch { model: Some("another".into()), ..BatchSearch::default() };
    assert_eq!(network.registry.find_batches(&model).await.expect("a page"), BatchPage::default());
}

#[tokio::test]
async fn an_open_upload_is_seen_by_its_organisation_until_it_is_a_batch() {
    let network = Network::new().await;
    let upload = network.upload(5).await;
    let devices = network.devices(0..3);
    network.registry.stage(&upload, rows(&devices)).await.expect("staged");
    let open = network.registry.open_uploads(&network.owner()).await.expect("uploads");
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].staged, open[0].rows, open[0].rehearsal), (3, 5, false));
    // Whoever sees it has no right to add to it.
    assert!(!format!("{open:?}").contains(&upload));
    let nobody = Network::owner_of_nobody();
    assert!(network.registry.open_uploads(&nobody).await.expect("uploads").is_empty());
    network.registry.drop_upload(&upload).await.expect("dropped");
    assert!(network.registry.open_uploads(&network.owner()).await.expect("uploads").is_empty());
}

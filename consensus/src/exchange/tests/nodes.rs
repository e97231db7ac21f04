//! Nodes that are as they should be.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_tell_each_other_in_order() {
    let a = Node::new(1, &[]).await;
    let b = Node::new(2, &[&a]).await;
    let c = Node::new(3, &[&a, &b]).await;
    a.sees(&[2, 3]).await;
    b.sees(&[1, 3]).await;
    c.sees(&[1, 2]).await;

    let all: Vec<_> = (0..3_000).map(operation).collect();
    for (at, message) in all.iter().enumerate() {
        a.exchange.tell_all(message);
        if at == 1_500 {
            a.exchange.tell_all(&Message::Cosignature("in between".to_owned()));
        }
    }
    for node in [&b, &c] {
        until("all is heard", || node.desk.messages().len() == 3_001).await;
        let heard = node.desk.messages();
        let operations: Vec<_> =
            heard.into_iter().filter(|m| matches!(m, Message::Operation(_))).collect();
        assert!(operations == all, "operations in another order");
    }

    b.exchange.tell_others(id(1), &operation(9_000));
    b.exchange.tell(id(1), &operation(9_001));
    until("c hears", || c.desk.messages().last() == Some(&operation(9_000))).await;
    until("a hears", || a.desk.messages() == [operation(9_001)]).await;

    // What they say of themselves, without anybody's doing.
    b.desk.height.store(50, Ordering::SeqCst);
    let of_b = || a.exchange.peers().into_iter().find(|peer| peer.id == id(2)).unwrap();
    until("the status of b is told", || of_b().status.is_some_and(|s| s.height == 50)).await;
    assert!(of_b().round_trip.is_some() && of_b().address.starts_with("127.0.0.1:"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_bundle_passes_and_any_peer_is_asked() {
    let (a, b) = (Node::new(1, &[]).await, Node::new(2, &[]).await);
    let c = Node::new(3, &[&a, &b]).await;
    c.sees(&[1, 2]).await;
    let wanted = Request::Bundle { batch: muster_ledger::BatchId([1; 32]), index: 3 };
    let bundle = Response::Bundle { leaves: vec![vec![5; 4_096]; 256], path: vec![[6; 32]; 12] };
    b.desk.answers(&wanted, bundle.clone());
    assert_eq!(c.exchange.ask(id(2), wanted.clone()).await, Ok(bundle.clone()));
    assert_eq!(c.exchange.ask(id(1), wanted.clone()).await, Ok(Response::None));
    let here = |response: &Response| matches!(response, Response::Bundle { .. });
    for _ in 0..4 {
        let found = c.exchange.ask_any(wanted.clone(), here).await.unwrap();
        assert!(found == (id(2), bundle.clone()));
    }
    // Whoever is asked first changes, so that no peer has all the work.
    let mut first = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let any = c.exchange.ask_any(Request::Pending, |_| true).await.unwrap();
        first.insert(any.0);
    }
    assert_eq!(first.len(), 2);
    let nothing = c.exchange.ask_any(Request::Pending, here).await;
    assert!(matches!(nothing, Err(crate::Error::Peer(_))), "{nothing:?}");
    assert!(c.exchange.ask(id(9), Request::Pending).await.is_err(), "a peer that is not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_questions_wait_for_their_turn_and_all_are_answered() {
    let a = Node::new(1, &[]).await;
    let b = Node::new(2, &[&a]).await;
    b.sees(&[1]).await;
    *a.desk.takes.lock().unwrap() = Duration::from_millis(30);
    let ask = |from| {
        let b = b.exchange.clone();
        async move { b.ask(id(1), Request::Feed { from, count: 1 }).await }
    };
    let answers = futures_util::future::join_all((0..40).map(ask)).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Response::None)), "{answers:?}");
    assert_eq!(a.desk.most_asked.load(Ordering::SeqCst), crate::limits::ASKED_AT_ONCE);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_back_is_found_again() {
    let a = Node::new(1, &[]).await;
    let port = a.exchange.listens().port();
    let name = format!("localhost:{port}/{}", id(1));
    let b = start(2, 0, NETWORK, &[name]).await;
    let mut changes = b.exchange.changes();
    b.sees(&[1]).await;
    a.close.send(true).unwrap();
    comes(&mut changes, Change::Left(id(1))).await;
    let waits = b.exchange.configured();
    assert!(waits[0].connected.is_none() && waits[0].failing.is_some(), "{waits:?}");
    let gone = soon("an answer", a.exchange.ask(id(2), Request::Pending)).await;
    assert!(gone.is_err(), "a closed exchange answers");

    let a = start(1, port, NETWORK, &[]).await;
    comes(&mut changes, Change::Joined(id(1))).await;
    b.exchange.tell_all(&operation(1));
    until("it hears", || a.desk.messages() == [operation(1)]).await;
    let waits = b.exchange.configured();
    assert!(waits[0].connected == Some(id(1)) && waits[0].failing.is_none(), "{waits:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_dial_each_other_are_one_peer_each() {
    let a = Node::new(1, &[]).await;
    let b = Node::new(2, &[&a]).await;
    b.sees(&[1]).await;
    // A port that is free now; a takes its own again.
    let port = a.exchange.listens().port();
    let to_b = b.exchange.listens().to_string();
    a.close.send(true).unwrap();
    drop(a);
    b.sees(&[]).await;
    let a = start(1, port, NETWORK, &[to_b]).await;
    b.sees(&[1]).await;
    a.sees(&[2]).await;
    // Long enough for the other side to dial, too.
    sleep(Duration::from_millis(1_500)).await;
    for (node, peer) in [(&a, 2), (&b, 1)] {
        node.sees(&[peer]).await;
        assert_eq!(node.exchange.configured()[0].connected, Some(id(peer)));
    }
    let all: Vec<_> = (0..500).map(operation).collect();
    for message in &all {
        a.exchange.tell_all(message);
        b.exchange.tell_all(message);
    }
    for node in [&a, &b] {
        until("all is heard", || node.desk.messages().len() >= 500).await;
        assert!(node.desk.messages() == all, "lost, twice or in another order");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_network_another_node_and_oneself_are_not_peers() {
    let a = Node::new(1, &[]).await;
    let at = a.exchange.listens();
    let other = start(2, 0, Network([8; 32]), &[at.to_string()]).await;
    until("another network is seen", || other.failing(0).contains("of this network")).await;

    let wrong = start(3, 0, NETWORK, &[format!("{at}/{}", id(4))]).await;
    until("another node is seen", || wrong.failing(0).contains(&id(1).to_string())).await;

    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        free.local_addr().unwrap().port()
    };
    let own = start(5, port, NETWORK, &[format!("127.0.0.1:{port}")]).await;
    until("it finds itself", || own.failing(0).contains("itself")).await;

    for node in [&a, &other, &wrong, &own] {
        assert_eq!(node.ids(), [], "a peer that is none");
    }
    let taken =
        ExchangeConfig { listen: at, node_key: secret(6), peers: Vec::new(), network: NETWORK };
    let (_close, closing) = watch::channel(false);
    let second = Exchange::start(taken, Arc::new(Desk::default()), closing).await;
    let error = second.err().expect("two on one port").to_string();
    assert!(error.contains("cannot listen on") && error.contains("free the port"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_operations_pass_in_seconds() {
    let a = Node::new(1, &[]).await;
    let b = Node::new(2, &[&a]).await;
    b.sees(&[1]).await;
    a.sees(&[2]).await;
    let start = std::time::Instant::now();
    for half in 0..2_u32 {
        for n in 0..10_000 {
            b.exchange.tell_all(&operation(half * 10_000 + n));
        }
        let heard = (half as usize + 1) * 10_000;
        until("all is heard", || a.desk.heard.lock().unwrap().len() >= heard).await;
    }
    until("all is heard", || a.desk.messages().len() >= 20_000).await;
    println!("{:.0} messages a second", 20_000.0 / start.elapsed().as_secs_f64());
    assert_eq!(a.desk.messages().len(), 20_000);
    assert_eq!(b.ids(), [id(1)], "an honest peer was cut");

    // One at a time, with nothing else on its way.
    let mut took = Duration::ZERO;
    for n in 1..=50 {
        sleep(Duration::from_millis(20)).await;
        let note = Message::Cosignature(n.to_string());
        let start = std::time::Instant::now();
        b.exchange.tell_all(&note);
        soon("it is heard", async {
            // A status may come in between.
            let heard = || a.desk.heard.lock().unwrap().iter().rev().take(3).any(|h| h.1 == note);
            while !heard() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        took += start.elapsed();
    }
    println!("{:.2} ms until one is heard", took.as_secs_f64() * 1_000.0 / 50.0);
}

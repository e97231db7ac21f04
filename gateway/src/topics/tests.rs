use super::*;

const DID: &str = "did:muster:zDevice";

fn names() -> Names {
    Names {
        did: DID.into(),
        owner: "did:muster:zOwner".into(),
        model: "pump-9".into(),
        batch: "ab".repeat(32),
    }
}

fn rules(text: &str) -> TopicRules {
    TopicRules::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

/// Whether a rule with this filter allows it to the device.
fn allows(filter: &str, access: Access, topic: &str) -> bool {
    let verb = if access == Access::Publish { "publish" } else { "subscribe" };
    rules(&format!("any: {verb} {filter}")).allow(&names(), access, topic)
}

#[test]
fn what_no_rule_allows_is_refused() {
    for access in [Access::Publish, Access::Subscribe, Access::Receive] {
        assert!(!TopicRules::default().allow(&names(), access, "a"));
        assert!(!rules("# nothing\n\n   \n").allow(&names(), access, "a"));
    }
    // One verb says nothing of the other.
    assert!(!rules("any: publish a").allow(&names(), Access::Subscribe, "a"));
    assert!(!rules("any: publish a").allow(&names(), Access::Receive, "a"));
    assert!(!rules("any: subscribe a").allow(&names(), Access::Publish, "a"));
}

#[test]
fn rules_are_for_a_device_an_owner_a_model_or_a_batch() {
    let genesis_like = muster_identity::SecretKey::from_bytes(
        muster_identity::Algorithm::Ed25519,
        &zeroize::Zeroizing::new([7; 32]),
    )
    .expect("a key");
    let key = muster_identity::Signer::public_key(&genesis_like);
    let did = Did::of(&muster_identity::Inception::from_key(key)).to_string();
    let mine = Names { did: did.clone(), owner: did.clone(), ..names() };
    let batch = &names().batch;
    for who in [&format!("did {did}"), &format!("owner {did}"), "model pump-9", "any"] {
        let rules = rules(&format!("{who}: publish t"));
        assert!(rules.allow(&mine, Access::Publish, "t"), "{who}");
    }
    assert!(rules(&format!("batch {batch}: publish t")).allow(&mine, Access::Publish, "t"));
    let other = Names {
        did: "did:muster:zElse".into(),
        owner: "did:muster:zElse".into(),
        model: "pump-90".into(),
        batch: "cd".repeat(32),
    };
    for who in [
        format!("did {did}"),
        format!("owner {did}"),
        "model pump-9".into(),
        format!("batch {batch}"),
    ] {
        let rules = rules(&format!("{who}: publish t"));
        assert!(!rules.allow(&other, Access::Publish, "t"), "{who}");
    }
}

#[test]
fn placeholders_are_the_devices_own_names() {
    let filter = "t/{did}/x-{model}-y/#";
    assert!(allows(filter, Access::Publish, "t/did:muster:zDevice/x-pump-9-y/a/b"));
    assert!(allows(filter, Access::Publish, "t/did:muster:zDevice/x-pump-9-y"));
    assert!(!allows(filter, Access::Publish, "t/did:muster:zDevic/x-pump-9-y/a"));
    assert!(!allows(filter, Access::Publish, "t/did:muster:zElse/x-pump-9-y/a"));
    assert!(allows(
        "{owner}/{batch}",
        Access::Receive,
        &format!("did:muster:zOwner/{}", "ab".repeat(32))
    ));
    assert!(allows("c/{did}/#", Access::Subscribe, "c/did:muster:zDevice/+/now"));
    assert!(!allows("c/{did}/#", Access::Subscribe, "c/+/now"));
}

#[test]
fn a_name_that_is_more_than_one_level_fits_nowhere() {
    let rules = rules("any: publish m/{model}/x\nany: subscribe m/{model}/#");
    for model in ["a/b", "+", "#", "a+", ""] {
        let names = Names { model: model.into(), ..names() };
        for topic in [format!("m/{model}/x"), "m/+/x".into(), "m/#".into(), "m//x".into()] {
            for access in [Access::Publish, Access::Subscribe, Access::Receive] {
                assert!(!rules.allow(&names, access, &topic), "{model} {access:?} {topic}");
            }
        }
    }
}

#[test]
fn topics_that_begin_with_a_dollar_are_named_or_not_reached() {
    for filter in ["#", "+/broker/#"] {
        assert!(!allows(filter, Access::Receive, "$SYS/broker/load"));
        assert!(!allows(filter, Access::Subscribe, "$SYS/broker/#"));
        assert!(!allows(filter, Access::Publish, "$CONTROL/dynamic-security/v1"));
    }
    assert!(allows("$SYS/broker/#", Access::Subscribe, "$SYS/broker/load/+"));
}

#[test]
fn shared_subscriptions_are_judged_by_their_filter() {
    assert!(allows("a/#", Access::Subscribe, "$share/group/a/b"));
    assert!(!allows("a/#", Access::Subscribe, "$share/group/b"));
    assert!(allows("#", Access::Subscribe, "$share/a/#"));
    for bad in ["$share/", "$share/g", "$share/g/", "$share//a/b", "$share/+/a/b", "$share"] {
        assert!(!allows("#", Access::Subscribe, bad), "{bad}");
    }
    assert!(!allows("a/#", Access::Publish, "$share/group/a/b"));
}

#[test]
fn what_is_no_topic_is_refused() {
    for bad in ["", "a/+", "#", "a/#", "a\0b"] {
        assert!(!allows("#", Access::Publish, bad), "{bad:?}");
        assert!(!allows("#", Access::Receive, bad), "{bad:?}");
    }
    for bad in ["", "a/#/b", "a+", "#a", "a\0b"] {
        assert!(!allows("#", Access::Subscribe, bad), "{bad:?}");
    }
    let long = "a".repeat(limits::TOPIC_BYTES + 1);
    assert!(!allows("#", Access::Publish, &long));
}

#[test]
fn faults_name_line_reason_and_cure() {
    let table = [
        ("any publish a", "there is no `: `"),
        ("any:publish a", "there is no `: `"),
        ("any: write a", "`write` is no verb"),
        ("any: publish", "there is no topic filter"),
        ("all: publish a", "`all` names nobody"),
        ("model : publish a", "`model` names nobody"),
        ("did did:muster:zabc: publish a", "is no DID"),
        ("owner: publish a", "is no DID"),
        ("batch ABCD: publish a", "`ABCD` is no batch"),
        ("any: publish a/#/b", "`a/#/b` is no topic filter"),
        ("any: publish a+", "`a+` is no topic filter"),
        ("any: publish {serial}", "unknown placeholder"),
        ("any: publish {did", "unknown placeholder"),
        ("any: publish did}", "unknown placeholder"),
        ("any: subscribe $share/g/a", "shared subscription"),
    ];
    for (bad, reason) in table {
        let error = TopicRules::parse(&format!("# one\nany: publish a\n{bad}\n")).unwrap_err();
        let words = error.to_string();
        assert!(words.contains("line 3: ") && words.contains(reason), "{bad}: {words}");
        assert!(words.split_once("; ").is_some_and(|(_, cure)| !cure.is_empty()), "{words}");
    }
    let many = "any: publish a\n".repeat(limits::TOPIC_RULES + 1);
    assert!(TopicRules::parse(&many).is_err());
    assert!(TopicRules::parse(&"#\n".repeat(limits::TOPIC_RULES_BYTES)).is_err());
}

/// All texts of up to `depth` levels over `alphabet`.
fn texts(alphabet: &[&str], depth: usize) -> Vec<String> {
    let mut all: Vec<String> = alphabet.iter().map(|level| (*level).to_owned()).collect();
    let mut last = all.clone();
    for _ in 1..depth {
        last = last.iter().flat_map(|t| alphabet.iter().map(move |l| format!("{t}/{l}"))).collect();
        all.extend(last.iter().cloned());
    }
    all
}

/// MQTT's own words, written a second way: does the filter have the topic (§4.7)?
fn has(filter: &[&str], topic: &[&str]) -> bool {
    match (filter, topic) {
        ([], []) => true,
        (["#"], _) => true,
        ([f, filter @ ..], [t, topic @ ..]) => (*f == "+" || f == t) && has(filter, topic),
        _ => false,
    }
}

fn has_topic(filter: &str, topic: &str) -> bool {
    let (f, t): (Vec<_>, Vec<_>) = (filter.split('/').collect(), topic.split('/').collect());
    !(topic.starts_with('$') && filter.starts_with(['+', '#'])) && has(&f, &t)
}

/// Every rule of three levels against every subscription of three levels, over every topic of
/// four: a subscription is allowed exactly if the rule has all of its topics.
#[test]
fn a_subscription_is_covered_exactly_if_all_its_topics_are() {
    // Also with empty levels; the empty text is no topic (MQTT 3.1.1 §4.7.3).
    let mut topics = texts(&["", "a", "b", "c", "$s"], 4);
    topics.retain(|topic| !topic.is_empty());
    let filters: Vec<String> = texts(&["", "a", "b", "$s", "+", "#"], 3)
        .into_iter()
        .filter(|filter| !filter.is_empty() && is_filter(filter))
        .collect();
    let sets: Vec<Vec<bool>> = filters
        .iter()
        .map(|filter| topics.iter().map(|topic| has_topic(filter, topic)).collect())
        .collect();
    let mut covered = 0;
    for (rule, reached) in filters.iter().zip(&sets) {
        let rules = rules(&format!("any: subscribe {rule}"));
        for (topic, is) in topics.iter().zip(reached) {
            let allowed = rules.allow(&names(), Access::Receive, topic);
            assert_eq!(allowed, *is, "{rule} {topic}");
        }
        for (asked, wanted) in filters.iter().zip(&sets) {
            let all = wanted.iter().zip(reached).all(|(wanted, reached)| !wanted || *reached);
            let allowed = rules.allow(&names(), Access::Subscribe, asked);
            assert!(all || !allowed, "{rule} does not cover {asked}");
            // No topic lies at the place of these two `#` itself, so `+/#` has all that they have.
            // It is not told so, which errs on the safe side.
            if !matches!(asked.as_str(), "#" | "/#") {
                assert_eq!(allowed, all, "{rule} covers {asked}");
            }
            covered += usize::from(allowed);
        }
    }
    assert!(covered > filters.len(), "{covered}");
}

/// Whatever a file holds, reading it ends in rules or in a fault, and rules never let a device
/// reach what names another one.
#[test]
fn no_text_makes_it_panic() {
    let pieces = [
        "any",
        "model",
        "did",
        ":",
        ": ",
        " ",
        "publish",
        "subscribe",
        "/",
        "#",
        "+",
        "{did}",
        "{",
        "}",
        "a",
        "$share/",
        "é",
        "\n",
        "\0",
        "\u{2028}",
        "owner",
        "batch",
        "\t",
        "\r",
    ];
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut good = 0;
    for _ in 0..60_000 {
        let mut text = String::from(if seed & 1 == 0 { "any: publish " } else { "" });
        for _ in 0..seed % 9 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
        }
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        if let Ok(rules) = TopicRules::parse(&text) {
            good += usize::from(!rules.is_empty());
            for access in [Access::Publish, Access::Subscribe, Access::Receive] {
                rules.allow(&names(), access, &text);
                rules.allow(&names(), access, "a/did:muster:zDevice/b");
            }
        }
    }
    assert!(good > 100, "{good} of the texts are rules");
}

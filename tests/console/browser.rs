//! What a person does with a browser, and what a browser says of a page. A violation of the
//! content security policy, or an error that no script caught, fails the test that caused it.

use crate::driver::Driver;
use data_encoding::BASE64;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a page may take to show what it is waited for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Every document tells its violations to the console, which outlives it.
const LISTENER: &str = "addEventListener('securitypolicyviolation', (event) => console.error(\
    'securitypolicyviolation', event.violatedDirective, event.blockedURI, event.sourceFile, \
    event.lineNumber, event.sample), true);";

/// Name of an element's id in answers (WebDriver §12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with a profile of its own: keys and cookies of another are not in it.
pub(crate) struct Browser {
    driver: Driver,
    screenshots: PathBuf,
    /// What the console of the browser said since the start.
    said: RefCell<Vec<String>>,
    /// Parts of messages that a test provokes.
    forgiven: RefCell<Vec<String>>,
}

impl Browser {
    pub(crate) fn start(profile: &Path, screenshots: PathBuf) -> Self {
        let driver = Driver::start(profile);
        let (said, forgiven) = Default::default();
        let browser = Self { driver, screenshots, said, forgiven };
        browser.devtools("Page.enable", json!({}));
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": LISTENER }));
        browser
    }

    /// Goes to an address.
    pub(crate) fn open(&self, url: &str) {
        self.driver.command("POST", "/url", &json!({ "url": url }));
    }

    /// Loads the page again.
    pub(crate) fn reload(&self) {
        self.driver.command("POST", "/refresh", &json!({}));
    }

    /// The present address.
    pub(crate) fn url(&self) -> String {
        text_of(self.driver.command("GET", "/url", &Value::Null))
    }

    /// The page's title.
    pub(crate) fn title(&self) -> String {
        text_of(self.driver.command("GET", "/title", &Value::Null))
    }

    /// The first element of a CSS selector, once there is one.
    pub(crate) fn find(&self, css: &str) -> Element<'_> {
        self.sought("css selector", css)
    }

    /// The first button or link with this text, once there is one.
    pub(crate) fn control(&self, text: &str) -> Element<'_> {
        assert!(!text.contains('\''), "a text without apostrophes");
        let named = format!("[normalize-space()='{text}' or @aria-label='{text}']");
        self.sought("xpath", &format!("//button{named}|//a{named}|//summary{named}"))
    }

    /// All elements of a CSS selector, now.
    pub(crate) fn find_all(&self, css: &str) -> Vec<Element<'_>> {
        let by = json!({ "using": "css selector", "value": css });
        let found = self.driver.command("POST", "/elements", &by);
        found.as_array().into_iter().flatten().filter_map(|e| self.element(e)).collect()
    }

    /// Whether an element is there now.
    pub(crate) fn has(&self, css: &str) -> bool {
        !self.find_all(css).is_empty()
    }

    fn sought(&self, using: &str, value: &str) -> Element<'_> {
        let by = json!({ "using": using, "value": value });
        let mut found = None;
        self.wait_until(value, || {
            let answer = self.driver.try_command("POST", "/element", &by);
            found = answer.ok().and_then(|e| self.element(&e));
            found.is_some()
        });
        found.expect("it was found")
    }

    fn element(&self, answer: &Value) -> Option<Element<'_>> {
        Some(Element { browser: self, id: answer[ELEMENT].as_str()?.to_owned() })
    }

    /// Waits until something holds.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds() {
            assert!(
                Instant::now() < until,
                "waited in vain for {what} at {}; the page: {}; the console: {:#?}",
                self.url(),
                self.script("return document.body.innerText.slice(0, 2000)", &[]),
                self.messages()
            );
            std::thread::sleep(Duration::from_millis(40));
        }
    }

    /// Waits until an element has this text in it.
    pub(crate) fn wait_for_text(&self, css: &str, text: &str) {
        self.wait_until(&format!("{text:?} in {css}"), || {
            let found = self.script(
                "return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)",
                &[json!(css)],
            );
            found
                .as_array()
                .is_some_and(|all| all.iter().any(|t| t.as_str().is_some_and(|t| t.contains(text))))
        });
    }

    /// Waits until no element matches.
    pub(crate) fn wait_gone(&self, css: &str) {
        self.wait_until(&format!("the end of {css}"), || !self.has(css));
    }

    /// Runs a function body; `arguments` as in it. A promise is waited for.
    pub(crate) fn script(&self, body: &str, arguments: &[Value]) -> Value {
        self.try_script(body, arguments).unwrap_or_else(|fault| panic!("script: {fault}"))
    }

    /// As [`Self::script`], or what was thrown.
    pub(crate) fn try_script(&self, body: &str, arguments: &[Value]) -> Result<Value, String> {
        let body = json!({ "script": body, "args": arguments });
        self.driver.try_command("POST", "/execute/sync", &body)
    }

    /// Presses keys where the focus is, one after the other (see [`key`]).
    pub(crate) fn press(&self, keys: &str) {
        let actions: Vec<Value> = keys
            .chars()
            .flat_map(|c| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": c })))
            .collect();
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.driver.command("POST", "/actions", &json!({ "actions": [keyboard] }));
    }

    /// The element that has the focus.
    pub(crate) fn focused(&self) -> Element<'_> {
        let found = self.driver.command("GET", "/element/active", &Value::Null);
        self.element(&found).expect("something has the focus")
    }

    /// The page as people see who asked for dark pages, or for light ones.
    pub(crate) fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": value });
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    /// The size of the window's inside in CSS pixels.
    pub(crate) fn size(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", size);
    }

    /// Writes a picture of the whole page and says where.
    pub(crate) fn screenshot(&self, name: &str) -> PathBuf {
        let picture = json!({ "format": "png", "captureBeyondViewport": true });
        let answer = self.devtools("Page.captureScreenshot", picture);
        let data = answer["data"].as_str().expect("a picture");
        let png = BASE64.decode(data.as_bytes()).expect("base64");
        std::fs::create_dir_all(&self.screenshots).expect("a folder for pictures");
        let path = self.screenshots.join(format!("{name}.png"));
        std::fs::write(&path, png).expect("room for a picture");
        path
    }

    /// A small picture of the page for the documents.
    pub(crate) fn picture(&self, file: &Path) {
        let how = json!({ "format": "webp", "quality": 40 });
        let taken = self.devtools("Page.captureScreenshot", how);
        let bytes = BASE64.decode(taken["data"].as_str().expect("a picture").as_bytes());
        std::fs::write(file, bytes.expect("base64")).expect("the picture is written");
    }

    /// A command of Chromium's own protocol.
    pub(crate) fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.driver.command("POST", "/goog/cdp/execute", &body)
    }

    /// What the browser's console said since the start.
    pub(crate) fn messages(&self) -> Vec<String> {
        let new = self.driver.try_command("POST", "/se/log", &json!({ "type": "browser" }));
        let new = new.unwrap_or_default();
        let lines = new.as_array().into_iter().flatten().map(|entry| {
            let part = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            format!("{} {}: {}", part("level"), part("source"), part("message"))
        });
        self.said.borrow_mut().extend(lines);
        self.said.borrow().clone()
    }

    /// Messages that fail a test: violations of the policy, and errors that nobody caught.
    pub(crate) fn faults(&self) -> Vec<String> {
        let forgiven = self.forgiven.borrow();
        let bad = |line: &String| {
            line.contains("securitypolicyviolation")
                || line.contains("Content Security Policy")
                || line.contains("Uncaught")
        };
        let forgiven = |line: &String| forgiven.iter().any(|part| line.contains(part.as_str()));
        self.messages().into_iter().filter(|line| bad(line) && !forgiven(line)).collect()
    }

    /// Messages with this part in them are provoked by the test, and do not fail it.
    pub(crate) fn forgive(&self, part: &str) {
        self.forgiven.borrow_mut().push(part.to_owned());
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the browser's console: {:#?}", self.messages());
        } else {
            let faults = self.faults();
            assert!(faults.is_empty(), "the browser refused or lost something: {faults:#?}");
        }
    }
}

fn text_of(value: Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// An element of the page.
pub(crate) struct Element<'b> {
    browser: &'b Browser,
    id: String,
}

impl Element<'_> {
    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.browser.driver.command(method, &format!("/element/{}{path}", self.id), body)
    }

    /// Clicks it, as a person would: it must be visible and not covered.
    pub(crate) fn click(&self) {
        self.command("POST", "/click", &json!({}));
    }

    /// Types a text, or the path of a file into a field for files.
    pub(crate) fn type_text(&self, text: &str) {
        self.command("POST", "/value", &json!({ "text": text }));
    }

    /// Empties a field.
    pub(crate) fn clear(&self) {
        self.command("POST", "/clear", &json!({}));
    }

    /// Its visible text.
    pub(crate) fn text(&self) -> String {
        text_of(self.command("GET", "/text", &Value::Null))
    }

    /// An attribute, empty if there is none.
    pub(crate) fn attribute(&self, name: &str) -> String {
        text_of(self.command("GET", &format!("/attribute/{name}"), &Value::Null))
    }

    /// Its name for those who do not see it (accname).
    pub(crate) fn name(&self) -> String {
        text_of(self.command("GET", "/computedlabel", &Value::Null))
    }
}

/// Keys without a character (WebDriver §17.4.2).
pub(crate) mod key {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    pub(crate) const DOWN: &str = "\u{e015}";
}

use std::{path::Path, time::Duration};

use fantoccini::{Client, ClientBuilder, Locator, elements::Element, error::CmdError, wd::Capabilities};
use serde_json::json;
use tempfile::TempDir;

use crate::driver::Driver;

/// The time limit for a page.
const PATIENCE: Duration = Duration::from_secs(20);

/// A browser with its own profile.
pub(crate) struct Browser {
    pub(crate) client: Client,
    base: String,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn open(driver: &Driver, address: &str) -> Self {
        Self::open_as(driver, address, (1200, 800), "light").await
    }

    pub(crate) async fn open_as(driver: &Driver, address: &str, size: (u32, u32), scheme: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let (width, height) = size;
        let options = json!({
            "args": [
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                format!("--user-data-dir={}", profile.path().display()),
                format!("--window-size={width},{height}"),
                format!("--blink-settings=preferredColorScheme={}", i32::from(scheme != "dark")),
            ]
        });
        let capabilities = Capabilities::from_iter([("goog:chromeOptions".to_owned(), options)]);
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        let client = builder.capabilities(capabilities).connect(&driver.url).await.expect("a browser");
        Self { client, base: format!("http://{address}"), _profile: profile }
    }

    pub(crate) async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.expect("a page");
    }

    /// The path of the current page.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("a URL");
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    /// The visible text of the page.
    pub(crate) async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await.expect("a body");
        body.text().await.expect("its text")
    }

    pub(crate) async fn fill(&self, field: &str, text: &str) {
        self.on_element(Locator::Id(field), async |input| {
            input.clear().await?;
            input.send_keys(text).await
        })
        .await;
    }

    /// Types into the field that gets the focus from the page, some time after the page has loaded.
    pub(crate) async fn type_into(&self, field: &str, keys: &str) {
        for _ in 0..400 {
            let active = self.client.active_element().await.expect("something has the focus");
            if active.attr("id").await.expect("an attribute").as_deref() == Some(field) {
                return active.send_keys(keys).await.expect("typed");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{field} never gets the focus");
    }

    /// Presses the button with this text or `aria-label`.
    pub(crate) async fn press(&self, button: &str) {
        let path = format!("//button[normalize-space()='{button}' or @aria-label='{button}']");
        self.on_element(Locator::XPath(&path), async |button| button.click().await).await;
    }

    /// Waits for an element, and calls `act` on it. If the page is being replaced by the next one,
    /// uses the element of the next one.
    async fn on_element(&self, place: Locator<'_>, act: impl AsyncFn(Element) -> Result<(), CmdError>) {
        let mut outcome = Ok(());
        for _ in 0..20 {
            let element = self.client.wait().at_most(PATIENCE).for_element(place).await;
            outcome = act(element.unwrap_or_else(|error| panic!("{place:?} does not come: {error}"))).await;
            // The driver reports an element of a replaced page in two ways.
            match &outcome {
                Err(error) if error.is_stale_element_reference() => {}
                Err(error) if error.to_string().contains("does not belong to the document") => {}
                _ => break,
            }
        }
        outcome.unwrap_or_else(|error| panic!("{place:?}: {error}"));
    }

    /// Sends a note in a request that takes twelve seconds, without waiting for the response.
    pub(crate) async fn add_slowly(&self, text: &str) {
        let script = "const body = new URLSearchParams({ text: arguments[0], seconds: '12' });
            window.slow = 'under way';
            fetch('/notes/slowly', { method: 'POST', body }).then(answer => { window.slow = new URL(answer.url).pathname; })";
        self.client.execute(script, vec![json!(text)]).await.expect("it is sent");
    }

    /// The path to which the slow request of this tab was redirected, or "under way".
    pub(crate) async fn slow(&self) -> String {
        let slow = self.client.execute("return window.slow", vec![]).await.expect("a script");
        slow.as_str().expect("a text").to_owned()
    }

    /// Waits for the response to the slow request of this tab, and returns its path.
    pub(crate) async fn slow_answer(&self) -> String {
        for _ in 0..400 {
            let slow = self.slow().await;
            if slow != "under way" {
                return slow;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the slow request is never answered");
    }

    pub(crate) async fn sign_in(&self, name: &str) {
        self.go("/").await;
        self.fill("name", name).await;
        self.press("Sign in").await;
        self.wait_for(&format!("Hello, {name}")).await;
    }

    pub(crate) async fn open_operators_page(&self, secret: &str) {
        self.go("/operators").await;
        self.fill("secret", secret).await;
        self.press("Open").await;
        self.wait_for("Live sessions").await;
    }

    /// Waits until a script has set the page's title to this one.
    pub(crate) async fn wait_for_title(&self, title: &str) {
        for _ in 0..400 {
            if self.client.title().await.expect("a title") == title {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the title never becomes {title}");
    }

    /// Waits until the page contains this text.
    pub(crate) async fn wait_for(&self, text: &str) {
        let path = format!("//body[contains(., \"{text}\")]");
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        if let Err(error) = found {
            panic!("{text:?} does not come: {error}; there is {:?}", self.text().await);
        }
    }

    /// Adds one more of these goods to the cart, and waits until it holds this number.
    pub(crate) async fn add_to_cart(&self, goods: &str, many: u32) {
        self.press(&format!("One {goods} more")).await;
        let path = format!("//*[@data-goods='{goods}' and normalize-space()='{many}']");
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::XPath(&path)).await;
        if let Err(error) = found {
            panic!("there are never {many} of {goods}: {error}");
        }
    }

    /// Waits until there are this many elements.
    pub(crate) async fn wait_for_as_many(&self, css: &str, many: usize) {
        let mut found = 0;
        for _ in 0..400 {
            found = self.client.find_all(Locator::Css(css)).await.expect("a list").len();
            if found == many {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("there are {found} of {css}, and not {many}");
    }

    /// The cookie's value, if there is one.
    pub(crate) async fn cookie(&self) -> Option<String> {
        let cookies = self.client.get_all_cookies().await.expect("its cookies");
        cookies.iter().find(|cookie| cookie.name() == "session").map(|cookie| cookie.value().to_owned())
    }

    /// Opens another tab, switches to it, and returns the handle of the previous one.
    pub(crate) async fn new_tab(&self) -> fantoccini::wd::WindowHandle {
        let before = self.client.window().await.expect("a tab");
        let tab = self.client.new_window(true).await.expect("a tab");
        self.client.switch_to_window(tab.handle).await.expect("it is there");
        before
    }

    /// Switches to another tab, and returns the handle of the previous one.
    pub(crate) async fn switch(&self, tab: fantoccini::wd::WindowHandle) -> fantoccini::wd::WindowHandle {
        let before = self.client.window().await.expect("a tab");
        self.client.switch_to_window(tab).await.expect("it is there");
        before
    }

    pub(crate) async fn screenshot(&self, file: &Path) {
        let png = self.client.screenshot().await.expect("a picture");
        std::fs::write(file, png).expect("it is written");
    }

    pub(crate) async fn close(self) {
        self.client.close().await.expect("it closes");
    }
}

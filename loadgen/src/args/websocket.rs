//! How connections ask for a WebSocket.

use clap::Args;

use crate::client::Mask;

/// How connections ask for a WebSocket.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "WebSocket")]
pub struct WebSocketArgs {
    /// Another header for the request, as NAME:VALUE (may be repeated)
    #[arg(long, value_name = "NAME:VALUE", value_parser = parse_header)]
    pub header: Vec<(String, String)>,

    /// The origin that the request names, as a browser's page would
    #[arg(long, value_name = "ORIGIN", value_parser = parse_field)]
    pub origin: Option<String>,

    /// A subprotocol to offer (may be repeated, the preferred one first)
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Vec<String>,

    /// Offer permessage-deflate, with payloads that it makes shorter, and fail where a server
    /// declines
    #[arg(long)]
    pub deflate: bool,

    /// How frames are masked; zero lets one read them on the wire, and shows nothing of a server
    #[arg(long, value_enum, default_value_t = Mask::Random)]
    pub mask: Mask,
}

/// What may stand in a field of a request.
fn parse_field(text: &str) -> Result<String, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("expected letters, digits and signs without blanks".to_owned())
    }
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected NAME:VALUE")?;
    let (name, value) = (name.trim(), value.trim());
    let is_token = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    if is_token && !value.contains(|letter: char| letter.is_ascii_control()) {
        Ok((name.to_owned(), value.to_owned()))
    } else {
        Err("a header has a name, and neither part has control characters".to_owned())
    }
}

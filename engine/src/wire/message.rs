//! As much of HTTP/1.1 as a scripted server needs: one request, one response, then the connection is closed.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

/// Longest head and longest body that are read.
const HEAD_BYTES: usize = 64 << 10;
const BODY_BYTES: usize = 16 << 20;

/// One request.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) method: String,
    pub(super) path: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Message {
    /// A header by its lower-case name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Reads one whole request; `None` when the client closes first or sends something else.
pub(super) async fn read(stream: &mut TcpStream) -> std::io::Result<Option<Message>> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_BYTES || stream.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
    };
    let body = bytes.split_off(head_end + 4);
    let Some(mut message) = parse_head(&bytes[..head_end]) else {
        return Ok(None);
    };
    message.body = body;
    let length = message.header("content-length").map_or(Some(0), |text| text.parse::<usize>().ok());
    let Some(length) = length.filter(|length| *length <= BODY_BYTES) else {
        return Ok(None);
    };
    while message.body.len() < length {
        if stream.read_buf(&mut message.body).await? == 0 {
            return Ok(None);
        }
    }
    message.body.truncate(length);
    Ok(Some(message))
}

fn parse_head(head: &[u8]) -> Option<Message> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header =
        |line: &str| line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim().into()));
    let headers = lines.map(header).collect::<Option<Vec<_>>>()?;
    Some(Message { method, path, headers, body: Vec::new() })
}

/// The bytes of a response. `headers` are whole lines, each with its CRLF.
pub(super) fn response(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} status\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n"
    );
    [head.as_bytes(), body].concat()
}

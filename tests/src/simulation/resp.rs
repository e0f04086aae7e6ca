//! RESP3, as much of it as the cache speaks: commands in, replies and pushes out
//! (<https://redis.io/docs/latest/develop/reference/protocol-spec/>).

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Ok,
    Pong,
    Queued,
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Null,
    Array(Vec<Said>),
    /// Key and value in turn.
    Map(Vec<Said>),
    Push(Vec<Said>),
}

impl Said {
    /// Text as a bulk string.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Bulk(text.into().into_bytes())
    }

    /// Appends it as bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut many = |mark: char, count: usize, items: &[Said]| {
            out.extend(format!("{mark}{count}\r\n").bytes());
            for item in items {
                item.write(out);
            }
        };
        match self {
            Self::Array(items) => many('*', items.len(), items),
            Self::Map(items) => many('%', items.len() / 2, items),
            Self::Push(items) => many('>', items.len(), items),
            Self::Ok => out.extend(b"+OK\r\n"),
            Self::Pong => out.extend(b"+PONG\r\n"),
            Self::Queued => out.extend(b"+QUEUED\r\n"),
            Self::Error(message) => out.extend(format!("-{message}\r\n").bytes()),
            Self::Int(number) => out.extend(format!(":{number}\r\n").bytes()),
            Self::Null => out.extend(b"_\r\n"),
            Self::Bulk(bytes) => {
                out.extend(format!("${}\r\n", bytes.len()).bytes());
                out.extend(bytes);
                out.extend(b"\r\n");
            }
        }
    }
}

/// Takes one command from the front of `buffer`, if all of it is there.
pub fn take_command(buffer: &mut Vec<u8>) -> Option<Vec<Vec<u8>>> {
    let mut at = 0;
    let count = number(buffer, &mut at, b'*')?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(buffer, &mut at, b'$')?;
        words.push(buffer.get(at..at + length)?.to_vec());
        at += length + 2;
        if at > buffer.len() {
            return None;
        }
    }
    buffer.drain(..at);
    Some(words)
}

/// The number of a line `*3\r\n` or `$5\r\n`, and moves past it.
fn number(buffer: &[u8], at: &mut usize, mark: u8) -> Option<usize> {
    let line = buffer.get(*at..)?;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    assert_eq!(line[0], mark, "a client of ours speaks RESP");
    let number = std::str::from_utf8(&line[1..end]).ok()?.parse().ok()?;
    *at += end + 2;
    Some(number)
}

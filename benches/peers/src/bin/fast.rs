//! The echo server of fastwebsockets' own examples, on one thread of tokio.

use fastwebsockets::{FragmentCollector, OpCode, WebSocketError, upgrade};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use peers::Failure;
use tokio::net::{TcpListener, TcpStream};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let listener = TcpListener::bind(peers::listen_address()?).await?;
    peers::serve_until_input_ends(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}

async fn serve(stream: TcpStream) {
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(accept))
        .with_upgrades();
    if let Err(error) = connection.await {
        eprintln!("a connection failed: {error}");
    }
}

async fn accept(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, upgraded) = upgrade::upgrade(&mut request)?;
    tokio::spawn(async {
        // As their example has it: without tokio's budget, which would make it slower.
        if let Err(error) = tokio::task::unconstrained(echo(upgraded)).await {
            eprintln!("a WebSocket failed: {error}");
        }
    });
    Ok(response)
}

async fn echo(upgraded: upgrade::UpgradeFut) -> Result<(), WebSocketError> {
    let mut socket = FragmentCollector::new(upgraded.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Close => return Ok(()),
            OpCode::Text | OpCode::Binary => socket.write_frame(frame).await?,
            _ => {}
        }
    }
}

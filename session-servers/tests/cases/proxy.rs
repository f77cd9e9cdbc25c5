//! The proxy, observed from both of its sides.

use std::io;
use std::time::Duration;

use libtest_mimic::Trial;
use session_servers::Proxy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, timeout};

use crate::line::{Line, Net, SILENCE, is_reset, is_silent, receive, send};
use crate::trials::{Verdict, case};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        case("proxy_passes_bytes_both_ways", passes_bytes_both_ways),
        case("proxy_passes_a_half_close", passes_a_half_close),
        case("proxy_delays_each_way", delays_each_way),
        case("proxy_ends_a_delay_at_once", ends_a_delay_at_once),
        case("proxy_freezes_everything", freezes_everything),
        case("proxy_freezes_one_connection", freezes_one_connection),
        case("proxy_cuts_one_connection", cuts_one_connection),
        case("proxy_cuts_a_frozen_connection", cuts_a_frozen_connection),
        case("proxy_cuts_all_connections", cuts_all_connections),
        case("proxy_cuts_in_place_of_a_reply", cuts_in_place_of_a_reply),
        case("proxy_cuts_in_place_of_a_delayed_reply", cuts_in_place_of_a_delayed_reply),
        case("proxy_spares_what_was_to_be_cut", spares_what_was_to_be_cut),
        case("proxy_refuses_new_connections", refuses_new_connections),
        case("proxy_leads_new_connections_elsewhere", leads_new_connections_elsewhere),
        case("proxy_swallows_replies", swallows_replies),
        case("proxy_resets_when_the_server_is_away", resets_when_the_server_is_away),
        case("proxy_ends_on_drop", ends_on_drop),
    ]
}

async fn passes_bytes_both_ways() -> Verdict {
    let net = Net::new().await?;
    net.proxy.delay(Duration::from_millis(1));
    let Line { client, server, .. } = net.connect().await?;
    // More than the proxy and the kernel buffer, so both directions have to wait for their readers.
    let sent: Vec<u8> = (0..=u8::MAX).cycle().take(8 << 20).collect();
    let (mut client_reader, mut client_writer) = client.into_split();
    let (mut server_reader, mut server_writer) = server.into_split();
    let (mut at_client, mut at_server) = (vec![0; sent.len()], vec![0; sent.len()]);
    tokio::try_join!(
        client_writer.write_all(&sent),
        server_writer.write_all(&sent),
        client_reader.read_exact(&mut at_client),
        server_reader.read_exact(&mut at_server),
    )?;
    assert!(at_client == sent, "the replies came out changed");
    assert!(at_server == sent, "the requests came out changed");
    Ok(())
}

async fn passes_a_half_close() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    line.client.shutdown().await?;
    assert_eq!(line.server.read(&mut [0]).await?, 0);
    send(&mut line.server, &mut line.client).await?;
    drop(line.server);
    assert_eq!(line.client.read(&mut [0]).await?, 0);
    Ok(())
}

async fn delays_each_way() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    let delay = Duration::from_millis(60);
    net.proxy.delay(delay);
    let request = Instant::now();
    send(&mut line.client, &mut line.server).await?;
    assert!(request.elapsed() >= delay);
    let reply = Instant::now();
    send(&mut line.server, &mut line.client).await?;
    assert!(reply.elapsed() >= delay);
    Ok(())
}

async fn ends_a_delay_at_once() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    net.proxy.delay(Duration::MAX);
    line.client.write_all(b"hello").await?;
    assert!(is_silent(&mut line.server).await);
    net.proxy.delay(Duration::ZERO);
    receive(&mut line.server).await?;
    Ok(())
}

async fn freezes_everything() -> Verdict {
    let net = Net::new().await?;
    let mut old = net.connect().await?;
    net.proxy.freeze();
    let mut new = net.connect().await?;
    for line in [&mut old, &mut new] {
        line.client.write_all(b"hello").await?;
        line.server.write_all(b"hello").await?;
        assert!(is_silent(&mut line.server).await);
        assert!(is_silent(&mut line.client).await);
    }
    net.proxy.thaw();
    for line in [&mut old, &mut new] {
        receive(&mut line.server).await?;
        receive(&mut line.client).await?;
    }
    Ok(())
}

async fn freezes_one_connection() -> Verdict {
    let net = Net::new().await?;
    let (mut one, mut two) = (net.connect().await?, net.connect().await?);
    assert!(net.proxy.freeze_connection(one.id));
    one.client.write_all(b"hello").await?;
    assert!(is_silent(&mut one.server).await);
    two.round_trip().await?;

    net.proxy.freeze();
    net.proxy.thaw();
    assert!(is_silent(&mut one.server).await, "thawing all left this one as it was");
    assert!(net.proxy.thaw_connection(one.id));
    receive(&mut one.server).await?;
    Ok(())
}

async fn cuts_one_connection() -> Verdict {
    let net = Net::new().await?;
    let (mut one, mut two) = (net.connect().await?, net.connect().await?);
    assert_eq!(net.proxy.connections(), [one.id, two.id]);
    assert!(net.proxy.cut(one.id));
    assert_eq!(net.proxy.connections(), [two.id]);
    assert!(is_reset(&mut one.client).await);
    assert!(is_reset(&mut one.server).await);
    two.round_trip().await?;
    assert!(!net.proxy.cut(one.id), "it is not live any more");
    assert!(!net.proxy.freeze_connection(one.id));
    Ok(())
}

async fn cuts_a_frozen_connection() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    net.proxy.freeze();
    line.client.write_all(b"hello").await?;
    net.proxy.cut(line.id);
    assert!(is_reset(&mut line.client).await);
    assert!(is_reset(&mut line.server).await, "and what was held back is lost");
    Ok(())
}

async fn cuts_all_connections() -> Verdict {
    let net = Net::new().await?;
    let (mut one, mut two) = (net.connect().await?, net.connect().await?);
    net.proxy.cut_all();
    assert_eq!(net.proxy.connections(), []);
    for line in [&mut one, &mut two] {
        assert!(is_reset(&mut line.client).await);
        assert!(is_reset(&mut line.server).await);
    }
    net.connect().await?.round_trip().await?;
    Ok(())
}

async fn cuts_in_place_of_a_reply() -> Verdict {
    let net = Net::new().await?;
    let (mut one, two) = (net.connect().await?, net.connect().await?);
    one.round_trip().await?;
    net.proxy.cut_after_next_request();
    let mut new = net.connect().await?;
    new.round_trip().await?;
    assert_eq!(net.proxy.connections(), [one.id, two.id, new.id], "there was no request on the first two");

    send(&mut one.client, &mut one.server).await?;
    one.server.write_all(b"hello").await?;
    assert!(is_reset(&mut one.client).await, "and not a byte of the reply");
    assert!(is_reset(&mut one.server).await);
    assert_eq!(net.proxy.connections(), [two.id, new.id]);
    new.round_trip().await?;
    net.connect().await?.round_trip().await?;
    Ok(())
}

async fn cuts_in_place_of_a_delayed_reply() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    net.proxy.delay(Duration::MAX);
    line.server.write_all(b"hello").await?;
    assert!(is_silent(&mut line.client).await);
    net.proxy.cut_after_next_request();
    net.proxy.delay(Duration::ZERO);
    assert!(is_reset(&mut line.client).await, "it had not arrived yet");
    Ok(())
}

async fn spares_what_was_to_be_cut() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    net.proxy.cut_after_next_request();
    send(&mut line.client, &mut line.server).await?;
    net.proxy.spare();
    send(&mut line.server, &mut line.client).await?;
    line.round_trip().await?;
    Ok(())
}

async fn leads_new_connections_elsewhere() -> Verdict {
    let (net, elsewhere) = (Net::new().await?, TcpListener::bind("127.0.0.1:0").await?);
    let mut line = net.connect().await?;
    net.proxy.redirect(elsewhere.local_addr()?);
    let mut client = TcpStream::connect(net.proxy.addr()).await?;
    let (mut server, _) = elsewhere.accept().await?;
    send(&mut client, &mut server).await?;
    send(&mut line.client, &mut line.server).await?;
    Ok(())
}

async fn refuses_new_connections() -> Verdict {
    let net = Net::new().await?;
    let mut old = net.connect().await?;
    net.proxy.refuse_new(true).await?;
    let refused = TcpStream::connect(net.proxy.addr()).await.map_err(|error| error.kind());
    assert_eq!(refused.err(), Some(io::ErrorKind::ConnectionRefused));
    old.round_trip().await?;
    net.proxy.refuse_new(false).await?;
    net.connect().await?.round_trip().await?;
    old.round_trip().await?;
    Ok(())
}

async fn swallows_replies() -> Verdict {
    let net = Net::new().await?;
    let (mut unlucky, mut idle) = (net.connect().await?, net.connect().await?);
    unlucky.round_trip().await?;
    net.proxy.swallow_replies(true);
    assert!(timeout(SILENCE, net.proxy.swallowed()).await.is_err(), "nothing has been lost yet");
    send(&mut unlucky.client, &mut unlucky.server).await?;
    unlucky.server.write_all(b"hello").await?;
    net.proxy.swallowed().await;
    assert!(is_silent(&mut unlucky.client).await);
    send(&mut unlucky.client, &mut unlucky.server).await?;

    net.proxy.swallow_replies(false);
    assert!(is_reset(&mut unlucky.client).await, "its stream is out of step");
    idle.round_trip().await?;
    assert_eq!(net.proxy.connections(), [idle.id]);
    Ok(())
}

async fn resets_when_the_server_is_away() -> Verdict {
    // Bound and not listening: no server answers, and no other process can take the port.
    let nobody = TcpSocket::new_v4()?;
    nobody.bind("127.0.0.1:0".parse()?)?;
    let proxy = Proxy::start(nobody.local_addr()?).await?;
    // The reset can arrive before the client has noticed that it is connected.
    match TcpStream::connect(proxy.addr()).await {
        Ok(mut client) => assert!(is_reset(&mut client).await),
        Err(error) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
    }
    Ok(())
}

async fn ends_on_drop() -> Verdict {
    let net = Net::new().await?;
    let mut line = net.connect().await?;
    let addr = net.proxy.addr();
    drop(net.proxy);
    assert!(is_reset(&mut line.client).await);
    assert!(is_reset(&mut line.server).await);
    // A task closes the port. Only the port itself shows that the task has ended.
    while TcpStream::connect(addr).await.is_ok() {}
    Ok(())
}

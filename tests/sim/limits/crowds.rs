//! How many may come: in all, of one address, and in one second.

use std::num::NonZeroU32;

use corecast::worker::Limits;

use super::around;
use super::world::{Via, World, in_each_world};

#[test]
fn a_worker_holds_so_many_connections_and_no_more() {
    let limits = Limits { connections_max: 3, ..Limits::default() };
    in_each_world(limits, |world| {
        let mut clients: Vec<_> = (0..3).map(|_| world.socket_at(0, "/echo")).collect();
        assert!(world.try_connect_to(0, Via::Plain, "127.0.0.1").is_none());
        assert_eq!(world.refused("full"), 1);
        clients.pop().unwrap().wire.pipe.reset();
        world.pass(Limits::default().heartbeat_ms * 4);
        assert!(world.try_connect_to(0, Via::Plain, "127.0.0.1").is_some());
    });
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let mut limits = Limits::default();
    limits.addresses.connections_max = NonZeroU32::new(3);
    in_each_world(limits, |world| {
        // On whichever workers they are.
        let mut clients: Vec<_> =
            (0..3).map(|_| world.try_connect("2001:db8::1").unwrap()).collect();
        assert!(world.try_connect("2001:db8::2").is_none(), "of the same network");
        assert!(world.try_connect("2001:db8:0:1::1").is_some(), "of another");
        assert_eq!(world.refused("address-connections"), 1);
        clients.pop().unwrap().wire.pipe.reset();
        world.pass(Limits::default().request_ms_max);
        assert!(world.try_connect("2001:db8::2").is_some(), "there is room again");
    });
}

#[test]
fn an_address_brings_so_many_connections_a_second_and_no_more() {
    let mut limits = Limits::default();
    limits.addresses.connects_per_second_max = NonZeroU32::new(4);
    for (ms, more) in around(250).map(|(ms, is_full)| (ms, usize::from(is_full))) {
        in_each_world(limits, |world| {
            let came = |world: &mut World, count| {
                (0..count).filter(|_| world.try_connect("192.0.2.1").is_some()).count()
            };
            assert_eq!([3, 1, 1].map(|count| came(world, count)), [3, 1, 0]);
            assert_eq!(world.refused("address-rate"), 1);
            world.pass(ms);
            assert_eq!(came(world, 2), more, "{ms}");
        });
    }
}

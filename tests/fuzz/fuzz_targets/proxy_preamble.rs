#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| corecast_fuzz::proxy_preamble::run(bytes));

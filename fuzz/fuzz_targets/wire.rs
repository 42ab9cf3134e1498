#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| epochkey_fuzz::wire::check(data));

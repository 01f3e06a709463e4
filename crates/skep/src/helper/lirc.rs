//! Helpers of infrared decoders. Facts: drivers/media/rc/bpf-lirc.c.

use super::{ANY, CTX, Helper, gpl, judged, proto};
use crate::prog_type::ProgTypes;

const NOTE: &str = "infrared decoding is not implemented yet";

pub(super) static HELPERS: &[Helper] = &[
    judged(gpl(proto(77, "rc_repeat", &[CTX])), (4, 18), ProgTypes::LIRC_MODE2, NOTE),
    judged(
        gpl(proto(78, "rc_keydown", &[CTX, ANY, ANY, ANY])),
        (4, 18),
        ProgTypes::LIRC_MODE2,
        NOTE,
    ),
    judged(gpl(proto(92, "rc_pointer_rel", &[CTX, ANY, ANY])), (5, 0), ProgTypes::LIRC_MODE2, NOTE),
];

/* status.h: the one space of error codes.
 *
 * 0 is success. Negative values down to -4096 are errno and libuv codes as they are (libuv's are
 * negated errno on every system we run on); ours lie below -10000, from the table below. */
#ifndef TW_BASE_STATUS_H
#define TW_BASE_STATUS_H

#define TW_STATUS_TABLE(X)                                                                         \
    X(TW_EAGAIN, -10001, "would block")                                                            \
    X(TW_EFULL, -10002, "a bound is reached")                                                      \
    X(TW_ECLOSED, -10003, "closed")                                                                \
    X(TW_EPARSE, -10004, "malformed")                                                              \
    X(TW_ETOOBIG, -10005, "too big")                                                               \
    X(TW_EUTF8, -10006, "not UTF-8")                                                               \
    X(TW_EPROTO, -10007, "against the protocol")                                                   \
    X(TW_EREFUSED, -10008, "refused")                                                              \
    X(TW_ENOCHANNEL, -10009, "no such channel")                                                    \
    X(TW_ESCRIPT, -10010, "a script failed")                                                       \
    X(TW_ERATE, -10011, "too many, too fast")                                                      \
    X(TW_EDROPPED, -10012, "dropped by the transform")                                             \
    X(TW_EJSON, -10013, "not JSON")                                                                \
    X(TW_ELOAD, -10014, "the app does not load")                                                   \
    X(TW_EDRAINING, -10015, "draining")                                                            \
    X(TW_EUSAGE, -10016, "wrong usage")                                                            \
    X(TW_EQUARANTINED, -10017, "quarantined: the channel's hooks keep failing")                    \
    X(TW_ENOGENERATION, -10018, "there is no generation to go back to")                            \
    X(TW_EADMINKEY, -10019, "the admin listener needs a key")                                      \
    X(TW_EUNLOADED, -10020, "the scripts of this worker were killed and do not load again")

enum tw_status {
    TW_OK = 0,
#define X(name, value, text) name = value,
    TW_STATUS_TABLE(X)
#undef X
};

/* A short text without a full stop. Static storage; never NULL. */
const char *tw_strerror(int status);

#endif

/* tidewire.jwt: the tokens of RFC 7515 appendix A, of RFC 7519 and RFC 8037; each way in which a
 * token is refused; keys as PEM and as JWKs. */
#include "script_support.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define HS256_KEY                                                                                  \
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"
#define CLAIMS                                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define HS256_TOKEN                                                                                \
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9." CLAIMS                                             \
    ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
#define RSA_N                                                                                      \
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4" \
    "d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-"                     \
    "bSf63kpaSHSXndS5z5rexM"                                                                       \
    "dbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_"                 \
    "I5IhlJH7aGhyxXFvUK"                                                                           \
    "-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"
#define RS256_TOKEN                                                                                \
    "eyJhbGciOiJSUzI1NiJ9." CLAIMS                                                                 \
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"       \
    "O8W2Fp5"                                                                                      \
    "jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_"                                           \
    "nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L"                                                 \
    "07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-"                                                \
    "eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUi"                                            \
    "pUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw"
#define EC_X "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define EC_Y "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ES256_TOKEN                                                                                \
    "eyJhbGciOiJFUzI1NiJ9." CLAIMS                                                                 \
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"

#define RSA_JWK "{\"kty\":\"RSA\",\"kid\":\"rsa\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"}"
#define EC_JWK                                                                                     \
    "{\"kty\":\"EC\",\"kid\":\"ec\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}"
/* RFC 8037 appendix A */
#define ED_JWK                                                                                     \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"ed\","                                         \
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}"
#define ED_TOKEN                                                                                   \
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."                                    \
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"

/* Of every test app, in front of its own. The clock is in force at load, too. */
static const char prelude[] =
    "local jwt, b64 = tidewire.jwt, tidewire.base64\n"
    "local function is(a, b) if a ~= b then error(tostring(a), 2) end end\n"
    "local function refused(token, options, why)\n"
    "  local claims, reason = jwt.verify(token, options)\n"
    "  if claims ~= nil or reason ~= why then error(tostring(reason), 2) end\n"
    "end\n"
    "local function raises(why, f, ...)\n"
    "  local ok, message = pcall(f, ...)\n"
    "  if ok or not tostring(message):find(why, 1, true) then error(tostring(message), 2) end\n"
    "end\n"
    "local function raw(header, claims)\n"
    "  return b64.encode_url(header) .. '.' .. b64.encode_url(claims)\n"
    "end\n"
    "local function hs256(header, claims, secret)\n"
    "  local text = raw(header, claims)\n"
    "  return text .. '.' .. tidewire.hmac('sha256', secret, text, 'base64url')\n"
    "end\n";

static double now;

static double virtual_now(void *data) {
    (void)data;
    return now;
}

static void write_key(struct app *app, const char *name, EVP_PKEY *pkey, bool is_private) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    assert_non_null(pkey);
    if (is_private)
        PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    else
        PEM_write_bio_PUBKEY(bio, pkey);
    long length = BIO_get_mem_data(bio, &text);
    char *copy = tw_memdup(text, (size_t)length);
    app_file(app, name, copy);
    tw_free(copy);
    BIO_free(bio);
}

static void write_keys(struct app *app) {
    static EVP_PKEY *keys[6];
    static const char *const names[] = {"rsa", "p256", "p384", "ed", "small", "p521"};
    if (!keys[0]) {
        keys[0] = EVP_RSA_gen(2048);
        keys[1] = EVP_EC_gen("P-256");
        keys[2] = EVP_EC_gen("P-384");
        keys[3] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
        keys[4] = EVP_RSA_gen(1024);
        keys[5] = EVP_EC_gen("P-521");
    }
    for (size_t i = 0; i < 6; i++) {
        char file[32];
        snprintf(file, sizeof file, "%s.pem", names[i]);
        write_key(app, file, keys[i], true);
        snprintf(file, sizeof file, "%s.pub", names[i]);
        write_key(app, file, keys[i], false);
    }
}

static void app_begin(struct app *app) {
    now = 1300819000; /* shortly before the tokens of the RFCs expire */
    app_init(app);
    app->how.clock.now = virtual_now;
    app_file(app, "keys.json", "{\"keys\":[" RSA_JWK "," EC_JWK "," ED_JWK "]}");
}

static void app_lua(struct app *app, const char *body) {
    char *text = tw_format("%s%s\nreturn {}", prelude, body);
    app_file(app, "channels/market.lua", text);
    tw_free(text);
    app_must_load(app);
}

static void jwt_test(const char *body) {
    struct app app;
    app_begin(&app);
    write_keys(&app);
    app_lua(&app, body);
    app_deinit(&app);
}

static void the_tokens_of_the_rfcs(void **state) {
    (void)state;
    jwt_test("local secret = b64.decode_url('" HS256_KEY "')\n"
             "local keys = jwt.jwks('keys.json')\n"
             "local claims = assert(jwt.verify('" HS256_TOKEN "', { secret = secret }))\n"
             "is(claims.iss, 'joe') is(claims.exp, 1300819380)\n"
             "is(claims['http://example.com/is_root'], true)\n"
             "is(assert(jwt.verify('" RS256_TOKEN "', { jwks = keys })).iss, 'joe')\n"
             "is(assert(jwt.verify('" ES256_TOKEN
             "', { jwks = keys, issuer = 'joe' })).iss, 'joe')\n"
             /* Signed well, but what is signed is no object. */
             "refused('" ED_TOKEN "', { jwks = keys }, 'not a JWT')\n"
             "refused('" ED_TOKEN "x', { jwks = keys }, 'not a JWT')\n"
             "refused(('" ED_TOKEN "'):gsub('hgyY', 'hgyZ'), { jwks = keys }, 'wrong signature')\n"
             /* RFC 7519 6.1 */
             "refused('eyJhbGciOiJub25lIn0." CLAIMS ".', { secret = secret },\n"
             "  'algorithm not allowed')\n"
             "refused('eyJhbGciOiJub25lIn0." CLAIMS ".', { jwks = keys }, "
             "'algorithm not allowed')\n");
}

static void each_character_of_a_token_counts(void **state) {
    (void)state;
    jwt_test("local secret = b64.decode_url('" HS256_KEY "')\n"
             "local cases = { ['" HS256_TOKEN "'] = { secret = secret },\n"
             "  ['" ES256_TOKEN "'] = { jwks = jwt.jwks('keys.json') } }\n"
             "for token, options in pairs(cases) do\n"
             "  assert(jwt.verify(token, options))\n"
             "  for i = 1, #token do\n"
             "    local c = token:sub(i, i)\n"
             "    for _, other in ipairs { c == 'A' and 'B' or 'A', '', '.', '=', ' ', '\\0' } do\n"
             "      local wrong = token:sub(1, i - 1) .. other .. token:sub(i + 1)\n"
             "      if wrong ~= token then is(jwt.verify(wrong, options), nil) end\n"
             "    end\n"
             "    is(jwt.verify(token:sub(1, i - 1), options), nil)\n"
             "  end\n"
             "end\n");
}

static void what_is_no_token(void **state) {
    (void)state;
    jwt_test(
        "local options = { secret = 's' }\n"
        "for _, token in ipairs { '', '.', '..', '...', 'a.b', 'a.b.c', 'e30.e30.', 'e30..',\n"
        "  5, true, {}, ('x'):rep(70000), 'e30.e30.e30.e30', 'bnVsbA.e30.', 'e30=.e30.' } do\n"
        "  refused(token, options, 'not a JWT')\n"
        "end\n"
        "refused(nil, options, 'not a JWT')\n"
        "refused(raw('{\"alg\":5}', '{}') .. '.', options, 'not a JWT')\n"
        "refused(raw('{\"alg\":\"\\255\"}', '{}') .. '.', options, 'not a JWT')\n"
        "refused(raw('{\"alg\":\"x\"}', '{}') .. '.', options, 'algorithm not allowed')\n"
        "refused(raw('{\"alg\":\"hs256\"}', '{}') .. '.', options, 'algorithm not allowed')\n"
        "refused(raw('{\"alg\":\"HS256\"}', '{}') .. '.', options, 'wrong signature')\n"
        "local function signed(header, claims) return hs256(header, claims, 's') end\n"
        "assert(jwt.verify(signed('{\"alg\":\"HS256\"}', '{}'), options))\n"
        "assert(jwt.verify(signed(' {\"a\":1, \"\\\\u0061lg\" : \"HS256\"} ', '{}'), options))\n"
        "for _, claims in ipairs { '[]', '5', 'null', '\"x\"', '', '{', '[{}]' } do\n"
        "  refused(signed('{\"alg\":\"HS256\"}', claims), options, 'not a JWT')\n"
        "end\n"
        "refused(signed('{\"alg\":\"HS256\",\"crit\":[\"b64\"],\"b64\":false}', '{}'), options,\n"
        "  'critical header not known')\n");
}

static void claims_are_checked(void **state) {
    (void)state;
    jwt_test("local options = { secret = 's' }\n"
             "local now = tidewire.now()\n"
             "local function token(claims) return jwt.sign(claims, options) end\n"
             "assert(jwt.verify(token { exp = now + 0.5 }, options))\n"
             "refused(token { exp = now }, options, 'token expired')\n"
             "assert(jwt.verify(token { exp = now }, { secret = 's', leeway = 1 }))\n"
             "refused(token { exp = now - 1 }, { secret = 's', leeway = 1 }, 'token expired')\n"
             "assert(jwt.verify(token { nbf = now, iat = now }, options))\n"
             "refused(token { nbf = now + 1 }, options, 'token not valid yet')\n"
             "assert(jwt.verify(token { nbf = now + 1 }, { secret = 's', leeway = 1 }))\n"
             "refused(token { iat = now + 1 }, options, 'token issued in the future')\n"
             "for _, name in ipairs { 'exp', 'nbf', 'iat' } do\n"
             "  for _, value in ipairs { 'x', '2000000000', true, {}, tidewire.json.null } do\n"
             "    refused(token { [name] = value }, options, name .. ' is not a number')\n"
             "  end\n"
             "end\n"
             "local function aud(audience) return { secret = 's', audience = audience } end\n"
             "local foreign = 'not for this audience'\n"
             "assert(jwt.verify(token { aud = 'a' }, aud 'a'))\n"
             "assert(jwt.verify(token { aud = { 'b', 'a' } }, aud 'a'))\n"
             "assert(jwt.verify(token { aud = 'a' }, aud { 'x', 'a' }))\n"
             "refused(token { aud = 'a' }, aud 'b', foreign)\n"
             "refused(token { aud = { 'a', 'c' } }, aud { 'b', 'd' }, foreign)\n"
             "refused(token { aud = 'a' }, options, foreign)\n"
             "refused(token {}, aud 'a', foreign)\n"
             "for _, value in ipairs { 5, true, {}, { 5 }, { { 'a' } }, tidewire.json.null } do\n"
             "  refused(token { aud = value }, aud 'a', foreign)\n"
             "end\n"
             "local function iss(issuer) return { secret = 's', issuer = issuer } end\n"
             "assert(jwt.verify(token { iss = 'a' }, iss 'a'))\n"
             "assert(jwt.verify(token { iss = 'a' }, iss { 'b', 'a' }))\n"
             "assert(jwt.verify(token { iss = 'a' }, options))\n"
             "refused(token { iss = 'a' }, iss 'b', 'wrong issuer')\n"
             "refused(token {}, iss 'b', 'wrong issuer')\n"
             "refused(token { iss = 5 }, iss '5', 'wrong issuer')\n"
             "local big = assert(jwt.verify(token { name = '\\195\\164\\n\"', list = { 1, 2 } }, "
             "options))\n"
             "is(big.name, '\\195\\164\\n\"') is(big.list[2], 2)\n");
}

static void every_algorithm_signs_and_verifies(void **state) {
    (void)state;
    jwt_test(
        "local file = tidewire.file\n"
        "local all = {\n"
        "  { 'HS256' }, { 'HS384' }, { 'HS512' }, { 'RS256', 'rsa' }, { 'RS384', 'rsa' },\n"
        "  { 'RS512', 'rsa' }, { 'ES256', 'p256' }, { 'ES384', 'p384' }, { 'EdDSA', 'ed' } }\n"
        "for _, case in ipairs(all) do\n"
        "  local name, key = case[1], case[2]\n"
        "  local with = { algorithm = name, kid = 'a\"b' }\n"
        "  local by, also = { algorithms = { name } }, {}\n"
        "  if key then\n"
        "    with.key, by.key, also.key = file(key .. '.pem'), file(key .. '.pub'), file(key .. "
        "'.pem')\n"
        "  else\n"
        "    with.secret, by.secret, also.secret = 'secret', 'secret', 'secret'\n"
        "  end\n"
        "  for i = 1, 20 do\n" /* ECDSA's numbers vary in length */
        "    local token = jwt.sign({ sub = 'alice', i = i }, with)\n"
        "    is(assert(jwt.verify(token, by)).i, i)\n"
        "    is(assert(jwt.verify(token, also)).sub, 'alice')\n"
        "    local cut = token:sub(1, -2) .. (token:sub(-1) == 'A' and 'Q' or 'A')\n"
        "    is(jwt.verify(cut, by), nil)\n"
        "    is(select(2, jwt.verify(token:gsub('%.', '.', 1):gsub('[^.]*$', ''), by)), 'wrong "
        "signature')\n"
        "  end\n"
        "  for _, other in ipairs(all) do\n"
        "    local token = jwt.sign({}, { algorithm = other[1],\n"
        "      key = other[2] and file(other[2] .. '.pem'), secret = not other[2] and 'x' or nil "
        "})\n"
        "    if other[1] ~= name then refused(token, by, 'algorithm not allowed') end\n"
        "  end\n"
        "end\n"
        "local defaults = jwt.sign({}, { key = file('p384.pem') })\n"
        "is(b64.decode_url(defaults:match('^[^.]+')), '{\"alg\":\"ES384\",\"typ\":\"JWT\"}')\n");
}

/* The classic: the public key, which everybody has, taken for the secret of an HMAC. */
static void a_public_key_is_no_secret(void **state) {
    (void)state;
    jwt_test("local pem = tidewire.file('rsa.pub')\n"
             "local token = hs256('{\"alg\":\"HS256\"}', '{}', pem)\n"
             "refused(token, { key = pem }, 'algorithm not allowed')\n"
             "raises('HS256 does not go with that key', jwt.verify, token,\n"
             "  { key = pem, algorithms = { 'HS256', 'RS256' } })\n"
             "raises('a key in PEM is given as `key`', jwt.verify, token, { secret = pem })\n"
             "refused(token, { jwks = jwt.jwks('keys.json') }, 'algorithm not allowed')\n"
             "raises('HS256 does not go with that jwks', jwt.verify, token,\n"
             "  { jwks = jwt.jwks('keys.json'), algorithms = { 'HS256' } })\n");
}

static void a_set_of_keys_is_searched(void **state) {
    (void)state;
    struct app app;
    app_begin(&app);
    write_keys(&app);
    app_file(&app, "two.json",
             "{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}, {\"kty\":\"new\"},"
             "{\"kty\":\"EC\",\"crv\":\"P-521\"}, {\"kty\":\"RSA\",\"use\":\"enc\"},"
             "{\"kty\":\"RSA\",\"alg\":\"PS256\"}," RSA_JWK ","
             "{\"kty\":\"RSA\",\"kid\":\"b\",\"alg\":\"RS512\",\"n\":\"" RSA_N "\",\"e\":\"AQAB\"},"
             "{\"kty\":\"RSA\",\"kid\":\"c\",\"use\":\"sig\",\"n\":\"" RSA_N
             "\",\"e\":\"AQAB\"}]}");
    app_lua(&app,
            "local keys, two = jwt.jwks('keys.json'), jwt.jwks('two.json')\n"
            "local es = '" ES256_TOKEN "'\n"
            "local signature = es:match('[^.]*$')\n"
            "local function with(header) return raw(header, '{}') .. '.' .. signature end\n"
            "refused(with '{\"alg\":\"ES256\",\"kid\":\"ec\"}', { jwks = keys }, 'wrong "
            "signature')\n"
            "refused(with '{\"alg\":\"ES256\",\"kid\":\"rsa\"}', { jwks = keys }, 'no such "
            "key')\n"
            "refused(with '{\"alg\":\"ES256\",\"kid\":\"x\"}', { jwks = keys }, 'no such key')\n"
            "refused(with '{\"alg\":\"ES256\",\"kid\":5}', { jwks = keys }, 'no such key')\n"
            "refused(with('{\"alg\":\"ES256\",\"kid\":\"' .. ('x'):rep(300) .. '\"}'),\n"
            "  { jwks = keys }, 'no such key')\n"
            "refused(with '{\"alg\":\"ES384\"}', { jwks = keys }, 'no such key')\n"
            "refused('" RS256_TOKEN "', { jwks = two }, 'no such key')\n" /* which? */
            "refused(with '{\"alg\":\"RS256\",\"kid\":\"b\"}', { jwks = two }, 'no such key')\n"
            "refused(with '{\"alg\":\"RS256\",\"kid\":\"c\"}', { jwks = two }, 'wrong "
            "signature')\n"
            "refused(es, { jwks = keys, algorithms = { 'RS256' } }, 'algorithm not allowed')\n"
            "assert(jwt.verify(es, { jwks = jwt.jwks('keys.json') }))\n"
            "is(getmetatable(keys), 'jwks')\n");
    app_deinit(&app);
}

static void files_of_keys_are_checked(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"{", "tidewire.jwt.jwks(\"keys.json\"): not JSON"},
        {"[]", "expected an object with a list of keys"},
        {"{}", "expected an object with a list of keys"},
        {"{\"keys\":{}}", "expected an object with a list of keys"},
        {"{\"keys\":[5]}", "keys[1] is no object"},
        {"{\"keys\":[]}", "no key in it that can be used"},
        {"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2VjcmV0\"}]}", "no key in it that can be used"},
        {"{\"keys\":[" EC_JWK ",{\"kty\":\"RSA\",\"n\":\"AQAB\"}]}", "keys[2]: an RSA key needs"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
         "keys[1]: an RSA key needs"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"AQ\"}]}", "keys[1]: an RSA key"},
        {"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"" RSA_N "\",\"e\":\"+\"}]}", "keys[1]: an RSA key"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\"}]}", "needs x and y"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" EC_X "\",\"y\":\"" EC_X "\"}]}",
         "x and y are no point of the curve"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" EC_X "\",\"y\":\"" EC_Y "\"}]}",
         "needs x and y"},
        {"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQAB\"}]}", "32 bytes"},
        {"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"RS256\",\"x\":\"" EC_X
         "\",\"y\":\"" EC_Y "\"}]}",
         "its alg and its kty do not go together"},
    };
    struct app app;
    app_begin(&app);
    app_file(&app, "channels/market.lua",
             "local ok, keys = pcall(tidewire.jwt.jwks, 'keys.json')\n"
             "if ok then error('it was taken') end\n"
             "tidewire.jwt.jwks('keys.json')\nreturn {}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        app_file(&app, "keys.json", cases[i][0]);
        app_must_fail(&app, "channels/market.lua", 3, cases[i][1]);
    }
    app_file(&app, "channels/market.lua", "tidewire.jwt.jwks('none.json') return {}");
    app_must_fail(&app, "channels/market.lua", 1,
                  "tidewire.jwt.jwks(\"none.json\"): there is no such file");
    app_file(&app, "channels/market.lua", "tidewire.jwt.jwks('../keys.json') return {}");
    app_must_fail(&app, "channels/market.lua", 1, "must not leave the app's folder");
    app_deinit(&app);
}

static void the_file_of_keys_is_one_the_app_depends_on(void **state) {
    (void)state;
    struct app app;
    app_begin(&app);
    app_lua(&app, "jwt.jwks('keys.json')");
    uint64_t print = app.generation->print;
    app_file(&app, "keys.json", "{\"keys\":[" RSA_JWK "]}");
    app_must_load(&app);
    assert_true(app.generation->print != print);
    app_deinit(&app);
    lua_fails("tidewire.jwt.jwks('keys.json')", "reads while the app is loaded, not in a hook");
}

static void misuse_raises(void **state) {
    (void)state;
    static const char *const verify[][2] = {
        {"nil", "the second argument is a table of options"},
        {"{}", "give one of secret, key and jwks"},
        {"{ secret = 'a', key = 'b' }", "give one of secret, key and jwks"},
        {"{ secret = nil }", "give one of secret, key and jwks"},
        {"{ secret = '' }", "secret: expected a text that is not empty"},
        {"{ secret = 5 }", "secret: expected a text that is not empty"},
        {"{ key = 'abc' }", "key: not the PEM text of a public key"},
        {"{ key = '-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n' }", "key: not"},
        {"{ jwks = {} }", "jwks: expected what tidewire.jwt.jwks(path) gives"},
        {"{ jwks = 'keys.json' }", "jwks: expected what tidewire.jwt.jwks(path) gives"},
        {"{ jwks = client }", "jwks: expected what tidewire.jwt.jwks(path) gives"},
        {"{ secret = 'a', algorithm = 'HS256' }",
         "unknown option 'algorithm'; did you mean 'algorithms'?"},
        {"{ secret = 'a', [1] = 2 }", "unknown option '?'"},
        {"{ secret = 'a', algorithms = {} }", "algorithms: expected a text or a list of texts"},
        {"{ secret = 'a', algorithms = { 5 } }", "algorithms: expected a text or a list of texts"},
        {"{ secret = 'a', algorithms = { 'none' } }", "unknown algorithm 'none'"},
        {"{ secret = 'a', algorithms = { 'RS256' } }", "RS256 does not go with that secret"},
        {"{ secret = 'a', audience = 5 }", "audience: expected a text or a list of texts"},
        {"{ secret = 'a', issuer = true }", "issuer: expected a text or a list of texts"},
        {"{ secret = 'a', leeway = -1 }", "leeway: expected seconds from 0 to 86400"},
        {"{ secret = 'a', leeway = '1' }", "leeway: expected seconds"},
    };
    for (size_t i = 0; i < sizeof verify / sizeof *verify; i++) {
        char *body = tw_format("tidewire.jwt.verify('x', %s)", verify[i][0]);
        lua_fails(body, verify[i][1]);
        tw_free(body);
    }
    lua_fails("tidewire.jwt.sign(5, { secret = 'a' })", "table expected");
    lua_fails("tidewire.jwt.sign({ 1 }, { secret = 'a' })", "claims have names");
    lua_fails("tidewire.jwt.sign({ a = print }, { secret = 'a' })", "claims.a is a function");
    lua_fails("tidewire.jwt.sign({}, {})", "give one of secret and key");
    lua_fails("tidewire.jwt.sign({}, { secret = 'a', kid = '\\255' })", "kid is not UTF-8");
    lua_fails("tidewire.jwt.sign({}, { secret = 'a', algorithms = { 'HS256' } })",
              "unknown option 'algorithms'; did you mean 'algorithm'?");
    jwt_test("local file = tidewire.file\n"
             "raises('not a private key', jwt.sign, {}, { key = file('rsa.pub') })\n"
             "raises('an RSA key needs 2048', jwt.verify, 'x', { key = file('small.pub') })\n"
             "raises('only P-256, P-384', jwt.verify, 'x', { key = file('p521.pub') })\n"
             "raises('ES384 does not go with that key', jwt.sign, {},\n"
             "  { key = file('p256.pem'), algorithm = 'ES384' })\n");
}

/* More keys than are kept; the same one again and again. */
static void parsed_keys_are_kept_and_bounded(void **state) {
    (void)state;
    jwt_test("local pem, token = tidewire.file('p256.pub')\n"
             "local sign = { key = tidewire.file('p256.pem') }\n"
             "for i = 1, 300 do\n"
             "  token = jwt.sign({ i = i }, sign)\n"
             "  is(assert(jwt.verify(token, { key = pem .. ('\\n'):rep(i) })).i, i)\n"
             "  is(assert(jwt.verify(token, { key = pem })).i, i)\n"
             "end\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SCRIPT_TEST(the_tokens_of_the_rfcs),
        SCRIPT_TEST(each_character_of_a_token_counts),
        SCRIPT_TEST(what_is_no_token),
        SCRIPT_TEST(claims_are_checked),
        SCRIPT_TEST(every_algorithm_signs_and_verifies),
        SCRIPT_TEST(a_public_key_is_no_secret),
        SCRIPT_TEST(a_set_of_keys_is_searched),
        SCRIPT_TEST(files_of_keys_are_checked),
        SCRIPT_TEST(the_file_of_keys_is_one_the_app_depends_on),
        SCRIPT_TEST(misuse_raises),
        SCRIPT_TEST(parsed_keys_are_kept_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

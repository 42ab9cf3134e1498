"""Verifies tokens as SPEC.md says. Of the JSON objects it reads, one a line, {"state": …} sets what
it knows, and {"token": …} is answered with what the token says, or the label of the error."""
import base64, hashlib, hmac, itertools, json, re, struct, sys

ID = r'"((?:[^"\\\x00-\x1f\x7f-\x9f])+)"'
INT = r"(0|[1-9][0-9]{0,19})"
PAYLOAD = re.compile(
    rf'\{{"iss":{ID},"aud":{ID},"sub":{ID}(?:,"sid":{ID})?(?:,"grp":\[({ID}(?:,{ID})*)\])?'
    rf',"iat":{INT},"exp":{INT}(?:,"auth_time":{INT})?,"jti":{ID},"seal":"([\w-]{{22}})"(.*\}})', re.S | re.A)
sys.set_int_max_str_digits(0)
REGISTERED = "iss aud sub sid grp iat exp auth_time jti seal nbf client_id".split()
JSON = json.JSONDecoder(parse_constant=int)  # int("NaN") is an error, as NaN is no JSON

def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
def decode(text):  # strict: exactly one spelling of each byte string
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    check(encode(data) == text)
    return data
def check(fine):
    if not fine: raise ValueError
def same(one, other):
    return hmac.compare_digest(one.encode(), other.encode())
def mac(key, message):
    return hmac.new(bytes.fromhex(key), message, hashlib.sha256).digest()

def seal(state, key, scopes):
    message = bytes.fromhex(key["nonce"])
    for kind, name in scopes:
        position, secret = state["epochs"].get(f"{kind} {name}", (0, ""))
        contribution = bytes.fromhex(secret) if position > key["position"] else bytes(16)
        message += struct.pack(">BH", kind, len(name.encode())) + name.encode() + contribution
    return encode(mac(state["seal_key"], message)[:16])

def application_claims(text):
    claims, at, bare = {}, 0, re.sub(r'"(\\.|[^"\\])*"', '""', text)
    depths = itertools.accumulate((c in "[{") - (c in "]}") for c in bare)
    check(not re.search(r"\s", bare) and max(depths) <= 126)
    while text[at] == ",":
        name = (match := re.compile(f",{ID}:").match(text, at))[1]
        check(name.replace("\u017f", "s").lower() not in REGISTERED and name not in claims)
        check(len(name.encode()) <= 255)
        claims[name], at = JSON.raw_decode(text, match.end())
    check(text[at:] == "}" and len(claims) <= 64)
    return claims

def verify(state, token):
    parts = token.split(".")
    if len(token.encode()) > state["max_length"] or len(parts) != 3:
        return "malformed"
    header = lambda key: b'{"alg":"HS256","kid":"%s","typ":"at+jwt"}' % key["kid"].encode()
    if (key := {encode(header(key)): key for key in state["keys"]}.get(parts[0])) is None:
        return "unknown_key"
    if not same(parts[2], encode(mac(key["secret"], ".".join(parts[:2]).encode()))):
        return "bad_signature"
    try:
        match = PAYLOAD.fullmatch(decode(parts[1]).decode("utf-8")).groups()
        iss, aud, sub, sid, grp, _, _, *times, jti, sealed, rest = match
        groups, claims = json.loads(f"[{grp or ''}]"), application_claims(rest)
        check(all(len(name.encode()) <= 255 for name in [iss, aud, sub, sid or "", jti, *groups]))
        iat, exp, auth_time = (int(time or "0") for time in times)
        check(len(set(groups)) == len(groups) <= 8 and max(iat, exp) < 1 << 64 and auth_time <= iat)
        decode(sealed)
    except (AttributeError, LookupError, TypeError, ValueError):  # the form of section 3 is missed
        return "malformed"
    scopes = [(1, sub)] + ([(2, sid)] if sid else []) + [(3, group) for group in groups]
    latest = state["now"] + state["leeway"]
    for wrong, label in (
            (iss != state["issuer"], "wrong_issuer"), (aud not in state["audiences"], "wrong_audience"),
            (state["now"] >= exp, "expired"), (iat > latest, "not_yet_valid"),
            (exp - iat > key["longest_lifetime"], "lifetime_too_long"),
            (not same(sealed, seal(state, key, scopes)), "revoked")):
        if wrong:
            return label
    return {"sub": sub, "sid": sid, "grp": groups, "exp": exp, "claims": claims}

for message in map(json.loads, sys.stdin):
    state = message.get("state") or state
    if "token" in message:
        print(json.dumps(verify(state, message["token"])))

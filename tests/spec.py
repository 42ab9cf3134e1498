"""Verifies tokens as SPEC.md says, with the standard library alone.

Reads one JSON object a line: {"state": …} sets what the verifier knows, and
{"token": …} is answered with the claims, or with the label of the error.
"""
import base64, hashlib, hmac, json, re, struct, sys

ID = r'"((?:[^"\\\x00-\x1f\x7f-\x9f])+)"'
INT = r"(0|[1-9][0-9]*)"
PAYLOAD = re.compile(
    rf'\{{"iss":{ID},"aud":{ID},"sub":{ID}(?:,"sid":{ID})?(?:,"grp":\[({ID}(?:,{ID})*)\])?'
    rf',"iat":{INT},"exp":{INT}(?:,"auth_time":{INT})?,"jti":{ID},"seal":"([A-Za-z0-9_-]{{22}})"'
    r'(\}|,".*\})', re.S)
REGISTERED = "iss aud sub sid grp iat exp auth_time jti seal nbf client_id".split()

def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

def decode(text):  # strict: exactly one spelling of each byte string
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text) or len(text) % 4 == 1:
        return None
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return data if encode(data) == text else None

def mac(key, message):
    return hmac.new(bytes.fromhex(key), message, hashlib.sha256).digest()

def seal(state, key, scopes):
    message = bytes.fromhex(key["nonce"])
    for kind, name in scopes:
        position, secret = state["epochs"].get(f"{kind} {name}", (0, "00" * 16))
        contribution = bytes.fromhex(secret) if position > key["position"] else bytes(16)
        name = name.encode()
        message += struct.pack(">BH", kind, len(name)) + name + contribution
    return mac(state["seal_key"], message)[:16]

def verify(state, token):
    parts = token.split(".")
    if len(token.encode()) > state["max_length"] or len(parts) != 3:
        return "malformed"
    header = lambda key: encode(b'{"alg":"HS256","kid":"%s","typ":"at+jwt"}' % key["kid"].encode())
    key = next((key for key in state["keys"] if header(key) == parts[0]), None)
    if key is None:
        return "unknown_key"
    signature = mac(key["secret"], ".".join(parts[:2]).encode())
    if not hmac.compare_digest(decode(parts[2]) or b"", signature):
        return "bad_signature"
    try:
        text = decode(parts[1]).decode("utf-8")
        match = PAYLOAD.fullmatch(text)
        iss, aud, sub, sid, grp, *_, iat, exp, auth_time, jti, sealed, rest = match.groups()
        groups = json.loads(f"[{grp or ''}]")
        claims = json.loads("{" + rest[1:] if rest != "}" else "{}", object_pairs_hook=list)
    except (AttributeError, ValueError):
        return "malformed"
    ids = [iss, aud, sub, jti, *groups] + ([sid] if sid else [])
    times = [int(time) for time in (iat, exp, auth_time or "0")]
    if (any(len(name.encode()) > 255 for name in ids) or len(groups) > 8 or decode(sealed) is None
            or len(set(groups)) != len(groups) or any(time >= 1 << 64 for time in times)
            or any(name in REGISTERED for name, _ in claims)):
        return "malformed"
    iat, exp, auth_time = times
    now, latest = state["now"], state["now"] + state["leeway"]
    scopes = [(1, sub)] + ([(2, sid)] if sid else []) + [(3, group) for group in groups]
    for wrong, label in (
            (iss != state["issuer"], "wrong_issuer"),
            (aud not in state["audiences"], "wrong_audience"),
            (now >= exp, "expired"), (iat > latest or auth_time > iat, "not_yet_valid"),
            (exp - iat > key["longest_lifetime"], "lifetime_too_long"),
            (not hmac.compare_digest(seal(state, key, scopes), decode(sealed)), "revoked")):
        if wrong:
            return label
    return {"sub": sub, "sid": sid, "grp": groups, "exp": exp, "claims": dict(claims)}

for message in map(json.loads, sys.stdin):
    if "state" in message:
        state = message["state"]
    else:
        print(json.dumps(verify(state, message["token"])))

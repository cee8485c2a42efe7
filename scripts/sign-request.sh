#!/usr/bin/env bash
# Sends a request that is signed with a key of HMAC_KEYS. Needs curl and openssl, nothing else.
#
#   HMAC_KEY_ID=… HMAC_SECRET=… scripts/sign-request.sh METHOD URL [BODY | @FILE | -] [curl's options …]
#
# HMAC_SECRET_FILE names a file that holds the secret instead. Answers are shown as they come. No secret is an argument of a
# program, which others on the machine could see.
set -euo pipefail
export LC_ALL=C

SECRET=${HMAC_SECRET:-}
unset HMAC_SECRET
umask 077
BODY_FILE=$(mktemp "${TMPDIR:-/tmp}/sign-request.XXXXXX")
trap 'rm -f "$BODY_FILE"' EXIT

fail() {
  printf '%s\n' "$1" >&2
  exit 2
}

usage='usage: HMAC_KEY_ID=… HMAC_SECRET=… scripts/sign-request.sh METHOD URL [BODY | @FILE | -] [curl options]'

# Bytes of hex digits, each XORed with a number: the two keys of HMAC (RFC 2104).
padded() {
  local hex=$1 mask=$2 at byte escapes=
  for ((at = 0; at < 128; at += 2)); do
    printf -v byte '\\x%02x' "$((0x${hex:at:2} ^ mask))"
    escapes+=$byte
  done
  # shellcheck disable=SC2059
  printf "$escapes"
}

to_hex() { od -An -v -tx1 | tr -d ' \n'; }

sha256() { openssl dgst -sha256 -binary; }

# HMAC-SHA256 of stdin in hex. openssl takes the key of its own HMAC as an argument only.
hmac() {
  local key zeros
  key=$(printf %s "$SECRET" | to_hex)
  [ "${#key}" -le 128 ] || key=$(printf %s "$SECRET" | sha256 | to_hex)
  zeros=$(printf '%0128d' 0)
  key=$key${zeros:${#key}}
  { padded "$key" 0x36; cat; } | sha256 | { padded "$key" 0x5c; cat; } | sha256 | to_hex
}

# What the service sees as the address: path and query.
target_of() {
  local rest=${1#*://} path
  rest=${rest%%#*}
  path=${rest#"${rest%%[/?]*}"}
  case $path in
    /*) printf %s "$path" ;;
    *) printf '/%s' "$path" ;;
  esac
}

[ $# -ge 2 ] || fail "$usage"
METHOD=$(printf %s "$1" | tr '[:lower:]' '[:upper:]')
URL=$2
shift 2
case $URL in
  http://* | https://*) ;;
  *) fail "$usage" ;;
esac
[ -n "${HMAC_KEY_ID:-}" ] || fail 'Set HMAC_KEY_ID to the name of the key.'
if [ -z "$SECRET" ] && [ -n "${HMAC_SECRET_FILE:-}" ]; then
  case $HMAC_SECRET_FILE in
    # quotes kept the shell from it
    \~/*) HMAC_SECRET_FILE=~/${HMAC_SECRET_FILE#??} ;;
  esac
  SECRET=$(tr -d '[:space:]' <"$HMAC_SECRET_FILE")
fi
[ -n "$SECRET" ] || fail 'Set HMAC_SECRET to the secret of the key, or HMAC_SECRET_FILE to a file that holds it.'

HAS_BODY=
if [ $# -gt 0 ]; then
  case $1 in
    '') shift ;;
    -?*) ;;
    *)
      HAS_BODY=1
      case $1 in
        -) cat >"$BODY_FILE" ;;
        @*) cat -- "${1#@}" >"$BODY_FILE" ;;
        *) printf %s "$1" >"$BODY_FILE" ;;
      esac
      shift
      ;;
  esac
fi

TIMESTAMP=$(date +%s)
NONCE=$(openssl rand -hex 16)
BODY_HASH=$(sha256 <"$BODY_FILE" | to_hex)
SIGNATURE=$(printf 'v1\n%s\n%s\n%s\n%s\n%s' "$TIMESTAMP" "$NONCE" "$METHOD" "$(target_of "$URL")" "$BODY_HASH" | hmac)

set -- "$@" -H "X-PAF-Key-Id: $HMAC_KEY_ID" -H "X-PAF-Timestamp: $TIMESTAMP" -H "X-PAF-Nonce: $NONCE" \
  -H "X-PAF-Signature: v1=$SIGNATURE"
if [ -n "$HAS_BODY" ]; then
  case " $* " in
    *[Cc]ontent-[Tt]ype:*) ;;
    *) set -- "$@" -H 'Content-Type: application/json' ;;
  esac
  set -- "$@" --data-binary "@$BODY_FILE"
fi
if [ "$METHOD" = HEAD ]; then
  set -- "$@" --head
else
  set -- "$@" --request "$METHOD"
fi

# what curl would change of the address would not be what is signed
curl --silent --show-error --no-buffer --globoff --path-as-is "$@" "$URL"

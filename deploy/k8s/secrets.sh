#!/usr/bin/env bash
# Makes the secrets that no operator makes, once for each namespace. What exists already is left alone and reported.
#
#   NAMESPACE=huzhu CLIENT_ID=notifications CLIENT_SECRET_FILE=./client-secret CONSOLE_CLIENT_ID=console \
#     CONSOLE_CLIENT_SECRET_FILE=./console-secret AUDIT_KEYS=./keys BACKUP_KEYS=./backup-keys deploy/k8s/secrets.sh
#
# CLIENT_… is what the issuer of the tokens knows Requests and Notifications by; CONSOLE_CLIENT_… the console, where people
# sign in. AUDIT_KEYS is a folder with signing.keys, made by "./huzhu audit key signing.keys", and trusted.keys, what that
# command prints. BACKUP_KEYS is a folder with access-key-id and secret-access-key, by which backups are written; without it
# none are. Keep copies of the folder, of personal-data and of offer-links outside the cluster: without master-key no
# personal data can be read again.
set -uo pipefail

secret() { kubectl --namespace "$NAMESPACE" create secret "$@" || failed=1; }
random() { openssl rand -base64 32 | tr -d '\n'; }
: "${NAMESPACE:?}" "${CLIENT_ID:?}" "${CLIENT_SECRET_FILE:?}" "${CONSOLE_CLIENT_ID:?}" "${CONSOLE_CLIENT_SECRET_FILE:?}" "${AUDIT_KEYS:?}"
failed=0

secret generic personal-data --from-file=master-key=<(random)
secret generic offer-links --from-file=link-key=<(random)
secret generic issuer-client --from-literal=client-id="$CLIENT_ID" --from-file=client-secret=<(tr -d '\n' <"$CLIENT_SECRET_FILE")
secret generic console-client --from-literal=client-id="$CONSOLE_CLIENT_ID" --from-file=client-secret=<(tr -d '\n' <"$CONSOLE_CLIENT_SECRET_FILE")
secret generic console --from-file=cookie-key=<(random) --from-file=caller-key=<(random)
# The role in the databases follows when this one is changed.
secret generic audit-database --type=kubernetes.io/basic-auth --from-literal=username=audit --from-file=password=<(openssl rand -hex 32 | tr -d '\n')
kubectl --namespace "$NAMESPACE" label --overwrite secret audit-database cnpg.io/reload=true || failed=1
# The broker's certificate, by an authority that signs nothing else: its key is thrown away. Valid for two years; a new one is
# made by deleting the secret and running this again, and is taken up when the broker and the services are restarted.
tls=$(mktemp -d)
trap 'rm -rf -- "$tls"' EXIT
host=broker.$NAMESPACE.svc
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 731 -subj "/CN=huzhu broker authority" -keyout "$tls/ca.key" -out "$tls/ca.crt" 2>"$tls/said" &&
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=broker -keyout "$tls/tls.key" -out "$tls/tls.csr" 2>>"$tls/said" &&
openssl x509 -req -in "$tls/tls.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days 730 -out "$tls/tls.crt" 2>>"$tls/said" \
  -extfile <(printf 'subjectAltName=DNS:broker,DNS:%s,DNS:%s.cluster.local\nextendedKeyUsage=serverAuth' "$host" "$host") || { cat -- "$tls/said" >&2; failed=1; }
secret generic broker-tls --type=kubernetes.io/tls --from-file=tls.crt="$tls/tls.crt" --from-file=tls.key="$tls/tls.key" --from-file=ca.crt="$tls/ca.crt"
secret generic audit-signing --from-file=signing.keys="$AUDIT_KEYS/signing.keys"
secret generic audit-trust --from-file=trusted.keys="$AUDIT_KEYS/trusted.keys"
[[ -z ${BACKUP_KEYS:-} ]] ||
secret generic backup-store --from-file=access-key-id="$BACKUP_KEYS/access-key-id" --from-file=secret-access-key="$BACKUP_KEYS/secret-access-key"
exit "$failed"

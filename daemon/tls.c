/* SPDX-License-Identifier: MIT */
/* HTTPS by OpenSSL; see tls.h. */

#include "config.h"

#include "daemon/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#ifdef HAVE_OPENSSL

#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include "daemon/event.h"
#include "daemon/log.h"
#include "daemon/sockets.h"
#include "daemon/text_file.h"

_Static_assert(TLS_1_0 == TLS1_VERSION && TLS_1_3 == TLS1_3_VERSION, "the same numbers");

struct tls {
	SSL_CTX *context;
};

#define LINGERING_MAX 16
#define SEND_BYTES 65536
/* Of greetings in one turn of the loop. */
#define HELLOS_NS 8000000ull

static uint64_t refused;
static unsigned lingering;
static bool turned_away;    /* whose handshake is looked at just now */
static int peer_index = -1; /* of a connection, whose address as text */

uint64_t
tls_count_refused(void)
{
	return refused;
}

/* OpenSSL's last word. */
static const char *
reason(void)
{
	const char *words = ERR_reason_error_string(ERR_peek_last_error());

	return words ? words : "for no known reason";
}

/* Read a file. Returns a BIO of it, or NULL, and why. */
static BIO *
open_file(const char *key, const char *path, char **ret_text, char why[TLS_WHY_BYTES])
{
	size_t length = 0;
	BIO *bio = NULL;
	int r = text_file_read(path, ret_text, &length);

	if (r == 0)
		bio = BIO_new_mem_buf(*ret_text, (int)length);
	if (!bio)
		snprintf(why, TLS_WHY_BYTES, "%s: %s cannot be read: %s", key, path,
			text_file_error(r ? r : -ENOMEM));
	return bio;
}

/* The next certificate in a file; other blocks are passed over, as Go does it. Returns 1,
 * 0 at the end, or -1 if it is broken. */
static int
next_certificate(BIO *bio, X509 **ret_certificate)
{
	char *name, *header;
	unsigned char *data;
	bool wanted = false;
	long length;

	*ret_certificate = NULL;
	while (!wanted) {
		const unsigned char *at;

		if (!PEM_read_bio(bio, &name, &header, &data, &length)) {
			bool end = ERR_GET_REASON(ERR_peek_last_error()) ==
				   PEM_R_NO_START_LINE;

			return end ? 0 : -1;
		}
		at = data;
		wanted = !strcmp(name, PEM_STRING_X509) && !*header;
		if (wanted)
			*ret_certificate = d2i_X509(NULL, &at, length);
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	return *ret_certificate ? 1 : -1;
}

/* Have `use` take each certificate of a file. Returns whether there was one and all were
 * good, or why not. */
static bool
read_certificates(const char *key, const char *path,
	bool (*use)(SSL_CTX *context, X509 *certificate, bool first), SSL_CTX *context,
	char why[TLS_WHY_BYTES])
{
	char *text = NULL;
	BIO *bio = open_file(key, path, &text, why);
	X509 *certificate;
	unsigned count = 0;
	int r = 0;

	if (!bio) {
		free(text);
		return false;
	}
	while ((r = next_certificate(bio, &certificate)) > 0) {
		bool good = use(context, certificate, !count++);

		X509_free(certificate);
		if (!good) {
			r = -1;
			break;
		}
	}
	if (r < 0)
		snprintf(why, TLS_WHY_BYTES, "%s: a certificate in %s cannot be used: %s",
			key, path, reason());
	else if (!count)
		snprintf(why, TLS_WHY_BYTES,
			"%s: there is no certificate in %s; expected PEM", key, path);
	BIO_free(bio);
	free(text);
	return r == 0 && count;
}

/* Whether Go's programs could use the key, too. */
static bool
is_common_key(EVP_PKEY *key)
{
	static const char *const groups[] = {
		"secp224r1", "prime256v1", "secp384r1", "secp521r1"};
	char name[64] = "";
	size_t length;

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_ED25519:
		return true;
	case EVP_PKEY_EC:
		EVP_PKEY_get_group_name(key, name, sizeof(name), &length);
		for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
			if (!strcmp(name, groups[i]))
				return true;
		return false;
	default:
		return false;
	}
}

/* Ours is the first; the others say who vouches for it. */
static bool
use_own(SSL_CTX *context, X509 *certificate, bool first)
{
	return first ? SSL_CTX_use_certificate(context, certificate) == 1
		     : SSL_CTX_add1_chain_cert(context, certificate) == 1;
}

static bool
use_client_ca(SSL_CTX *context, X509 *certificate, bool first)
{
	return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1 &&
	       SSL_CTX_add_client_CA(context, certificate) == 1;
}

/* A key with a password is not asked for it: nobody is there. */
static int
no_password(char *buffer, int size, int writing, void *arg)
{
	*(bool *)arg = true;
	return -1;
}

static bool
read_key(SSL_CTX *context, const struct tls_settings *settings, char why[TLS_WHY_BYTES])
{
	const char *path = settings->key_file;
	bool has_password = false, good = false;
	char *text = NULL;
	BIO *bio = open_file("key_file", path, &text, why);
	EVP_PKEY *key = NULL;

	if (!bio) {
		free(text);
		return false;
	}
	key = PEM_read_bio_PrivateKey(bio, NULL, no_password, &has_password);
	if (has_password)
		snprintf(why, TLS_WHY_BYTES,
			"key_file: the key in %s has a password; expected none", path);
	else if (!key)
		snprintf(why, TLS_WHY_BYTES,
			"key_file: there is no private key in %s; expected PEM", path);
	else if (!is_common_key(key))
		snprintf(why, TLS_WHY_BYTES,
			"key_file: the key in %s is of an unusual kind; expected RSA, "
			"ECDSA on a NIST curve, or Ed25519",
			path);
	else if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1)
		snprintf(why, TLS_WHY_BYTES,
			"key_file: the key in %s does not belong to the certificate in "
			"%s",
			path, settings->cert_file);
	else if (SSL_CTX_use_PrivateKey(context, key) != 1)
		snprintf(why, TLS_WHY_BYTES, "key_file: the key in %s cannot be used: %s",
			path, reason());
	else
		good = true;
	EVP_PKEY_free(key);
	BIO_free(bio);
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
	return good;
}

/* Take any certificate of a client's. */
static int
take_unseen(X509_STORE_CTX *store, void *arg)
{
	return 1;
}

static bool
ask_clients(
	SSL_CTX *context, const struct tls_settings *settings, char why[TLS_WHY_BYTES])
{
	static const int modes[] = {
		[TLS_NO_CLIENT_CERT] = SSL_VERIFY_NONE,
		[TLS_REQUEST_CLIENT_CERT] = SSL_VERIFY_PEER,
		[TLS_REQUIRE_ANY_CLIENT_CERT] =
			SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
		[TLS_VERIFY_CLIENT_CERT_IF_GIVEN] = SSL_VERIFY_PEER,
		[TLS_REQUIRE_AND_VERIFY_CLIENT_CERT] =
			SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
	};

	SSL_CTX_set_verify(context, modes[settings->client_auth], NULL);
	if (settings->client_auth < TLS_VERIFY_CLIENT_CERT_IF_GIVEN)
		SSL_CTX_set_cert_verify_callback(context, take_unseen, NULL);
	return !settings->client_ca_file ||
	       read_certificates("client_ca_file", settings->client_ca_file,
		       use_client_ca, context, why);
}

/* Of what is offered, take what we speak; else go on without. */
static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length,
	const unsigned char *in, unsigned in_length, void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";
	unsigned char *found;

	if (SSL_select_next_proto(&found, out_length, ours, sizeof(ours) - 1, in,
		    in_length) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	*out = found;
	return SSL_TLSEXT_ERR_OK;
}

static void
free_peer(void *ssl, void *peer, CRYPTO_EX_DATA *data, int index, long number, void *arg)
{
	free(peer);
}

/* Remember who it is: once it has hung up, the kernel does not know any more. */
static void
name_peer(SSL *ssl)
{
	char peer[SOCKETS_ADDRESS_BYTES], *before = SSL_get_ex_data(ssl, peer_index);

	sockets_describe_peer(SSL_get_fd(ssl), peer);
	free(before);
	SSL_set_ex_data(ssl, peer_index, strdup(peer));
}

/* libevent encrypts for as long as the socket takes more. */
static void
bound_writing(const SSL *ssl)
{
	static const int bytes = SEND_BYTES;

	(void)setsockopt(SSL_get_fd(ssl), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* Called when a client has greeted, before that costs much. Turns it away if this turn of the
 * loop has dealt with others for long enough; libevent cannot have it wait. */
static int
hear_hello(SSL *ssl, int *alert, void *arg)
{
	static struct timeval turn;
	static uint64_t began_ns;
	uint64_t now_ns = event_now_ns();
	struct timeval now;

	/* It stands still during a turn. */
	if (event_base_gettimeofday_cached(SSL_get_app_data(ssl), &now) ||
		timercmp(&now, &turn, !=)) {
		turn = now;
		began_ns = now_ns;
	}
	turned_away = now_ns - began_ns > HELLOS_NS;
	if (turned_away)
		*alert = SSL_AD_INTERNAL_ERROR;
	return turned_away ? SSL_CLIENT_HELLO_ERROR : SSL_CLIENT_HELLO_SUCCESS;
}

static void
end_linger(evutil_socket_t fd, short what, void *arg)
{
	close((int)(intptr_t)arg);
	lingering--;
}

/* Keep the connection for a moment: who goes on writing into one that is closed would hear of
 * that before he hears why. */
static void
linger(const SSL *ssl)
{
	static const struct timeval moment = {.tv_sec = 1};
	int fd;

	if (lingering == LINGERING_MAX)
		return;
	fd = fcntl(SSL_get_fd(ssl), F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return;
	lingering++;
	if (event_base_once(SSL_get_app_data(ssl), -1, EV_TIMEOUT, end_linger,
		    (void *)(intptr_t)fd, &moment))
		end_linger(-1, 0, (void *)(intptr_t)fd);
}

/* Count and tell, when a handshake has failed. */
static void
fail(const SSL *ssl, int error)
{
	static struct log_limit limit;
	const char *peer = SSL_get_ex_data(ssl, peer_index), *why = NULL;

	refused++;
	if (turned_away)
		why = "too many want one at the same time";
	else if (SSL_get_verify_result(ssl) != X509_V_OK)
		why = X509_verify_cert_error_string(SSL_get_verify_result(ssl));
	else if (error == SSL_ERROR_SSL)
		why = reason();
	/* Who hangs up has said all. */
	if (!why)
		return;
	turned_away = false;
	linger(ssl);
	log_warn_limited(&limit, event_now_ns(), "http", "no TLS connection with %s: %s",
		peer ? peer : "somebody", why);
}

/* Called by OpenSSL for each step of a handshake. */
static void
look_on(const SSL *ssl, int where, int result)
{
	int error;

	if (where == SSL_CB_HANDSHAKE_START) {
		turned_away = false;
		name_peer((SSL *)(uintptr_t)ssl);
		bound_writing(ssl);
	}
	if (where != SSL_CB_ACCEPT_EXIT || result > 0)
		return;
	error = SSL_get_error(ssl, result);
	if (error == SSL_ERROR_SSL || error == SSL_ERROR_SYSCALL)
		fail(ssl, error);
}

static bool
set_up(SSL_CTX *context, const struct tls_settings *settings, char why[TLS_WHY_BYTES])
{
	bool no_ciphers = settings->ciphers && !*settings->ciphers;

	/* Resumed connections would not have their certificates looked at again. */
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_options(context,
		SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
	SSL_CTX_set_info_callback(context, look_on);
	SSL_CTX_set_client_hello_cb(context, hear_hello, NULL);
	if (settings->prefer_server_ciphers)
		SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
	/* What is older rests on what the default level refuses. */
	if (settings->min_version < TLS_1_2)
		SSL_CTX_set_security_level(context, 0);
	if (SSL_CTX_set_min_proto_version(
		    context, no_ciphers ? TLS_1_3 : settings->min_version) != 1 ||
		SSL_CTX_set_max_proto_version(context, settings->max_version) != 1 ||
		(settings->ciphers && *settings->ciphers &&
			SSL_CTX_set_cipher_list(context, settings->ciphers) != 1) ||
		(settings->curves &&
			SSL_CTX_set1_groups_list(context, settings->curves) != 1)) {
		snprintf(why, TLS_WHY_BYTES,
			"versions, cipher_suites or curve_preferences: not with this "
			"OpenSSL: %s",
			reason());
		return false;
	}
	return read_certificates(
		       "cert_file", settings->cert_file, use_own, context, why) &&
	       read_key(context, settings, why) && ask_clients(context, settings, why);
}

struct tls *
tls_new(const struct tls_settings *settings, char ret_why[TLS_WHY_BYTES])
{
	struct tls *tls = calloc(1, sizeof(*tls));

	if (peer_index < 0)
		peer_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_peer);
	snprintf(ret_why, TLS_WHY_BYTES, "out of memory");
	if (tls)
		tls->context = SSL_CTX_new(TLS_server_method());
	if (tls && (!tls->context || !set_up(tls->context, settings, ret_why))) {
		tls_free(tls);
		tls = NULL;
	}
	ERR_clear_error();
	return tls;
}

void
tls_free(struct tls *tls)
{
	if (!tls)
		return;
	SSL_CTX_free(tls->context);
	free(tls);
}

struct bufferevent *
tls_stream(struct tls *tls, struct event_base *base)
{
	SSL *ssl = SSL_new(tls->context);
	struct bufferevent *stream;

	if (!ssl)
		return NULL;
	SSL_set_app_data(ssl, base);
	/* Frees the SSL, too, also when it fails. */
	stream = bufferevent_openssl_socket_new(
		base, -1, ssl, BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	if (stream)
		bufferevent_openssl_set_allow_dirty_shutdown(stream, 1);
	return stream;
}

#else

uint64_t
tls_count_refused(void)
{
	return 0;
}

struct tls *
tls_new(const struct tls_settings *settings, char ret_why[TLS_WHY_BYTES])
{
	snprintf(ret_why, TLS_WHY_BYTES,
		"tls_server_config: this looplagd was built without OpenSSL and has no "
		"TLS; leave it out, or build with libssl-dev");
	return NULL;
}

void
tls_free(struct tls *tls)
{
}

struct bufferevent *
tls_stream(struct tls *tls, struct event_base *base)
{
	return NULL;
}

#endif

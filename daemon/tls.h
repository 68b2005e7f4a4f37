/* SPDX-License-Identifier: MIT */
/*
 * HTTPS, by OpenSSL: certificates, and what is asked of clients. Without OpenSSL there is
 * none, and that is what tls_new() says.
 */
#ifndef LOOPLAG_DAEMON_TLS_H
#define LOOPLAG_DAEMON_TLS_H

#include <stdbool.h>
#include <stdint.h>

#define TLS_WHY_BYTES 512

struct tls;

/* libevent's. */
struct bufferevent;
struct event_base;

/* As Go's crypto/tls has them. */
enum tls_client_auth {
	TLS_NO_CLIENT_CERT,
	TLS_REQUEST_CLIENT_CERT,
	TLS_REQUIRE_ANY_CLIENT_CERT,
	TLS_VERIFY_CLIENT_CERT_IF_GIVEN,
	TLS_REQUIRE_AND_VERIFY_CLIENT_CERT
};

/* The numbers that the protocol has for them. */
enum tls_version { TLS_1_0 = 0x301, TLS_1_1, TLS_1_2, TLS_1_3 };

struct tls_settings {
	char *cert_file; /* the chain, ours first; PEM, as the others */
	char *key_file;
	char *client_ca_file;         /* or NULL */
	int client_auth;              /* enum tls_client_auth */
	int min_version, max_version; /* enum tls_version */
	char *ciphers; /* up to TLS 1.2, as OpenSSL calls them; "": none; NULL: its choice */
	char *curves; /* the same */
	bool prefer_server_ciphers;
};

/* Read the files. NULL, and why, if they are not good. */
struct tls *
tls_new(const struct tls_settings *settings, char ret_why[TLS_WHY_BYTES]);
void
tls_free(struct tls *tls);

/* The stream of a connection that is accepted, with no descriptor yet; it stays good when
 * the tls is freed. NULL without memory. */
struct bufferevent *
tls_stream(struct tls *tls, struct event_base *base);

/* How many connections have come to no agreement. */
uint64_t
tls_count_refused(void);

#endif

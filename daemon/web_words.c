/* SPDX-License-Identifier: MIT */
/* The words of the web configuration; see web_words.h. */

#include "config.h"

#include "daemon/web_words.h"

#include <stdbool.h>
#include <stddef.h>

#include "daemon/tls.h"

const struct web_word web_words_client_auths[] = {
	{"NoClientCert", TLS_NO_CLIENT_CERT, NULL},
	{"RequestClientCert", TLS_REQUEST_CLIENT_CERT, NULL},
	/* What the next one was called before. */
	{"RequireClientCert", TLS_REQUIRE_ANY_CLIENT_CERT, NULL},
	{"RequireAnyClientCert", TLS_REQUIRE_ANY_CLIENT_CERT, NULL},
	{"VerifyClientCertIfGiven", TLS_VERIFY_CLIENT_CERT_IF_GIVEN, NULL},
	{"RequireAndVerifyClientCert", TLS_REQUIRE_AND_VERIFY_CLIENT_CERT, NULL},
	{NULL, 0, NULL},
};

const struct web_word web_words_versions[] = {
	{"TLS10", TLS_1_0, NULL},
	{"TLS11", TLS_1_1, NULL},
	{"TLS12", TLS_1_2, NULL},
	{"TLS13", TLS_1_3, NULL},
	{NULL, 0, NULL},
};

const struct web_word web_words_booleans[] = {
	{"true", true, NULL},
	{"false", false, NULL},
	{NULL, 0, NULL},
};

/* Those that Go 1.19 has for secure. Those of TLS 1.3 cannot be chosen among there. */
const struct web_word web_words_ciphers[] = {
	{"TLS_AES_128_GCM_SHA256", 0, ""},
	{"TLS_AES_256_GCM_SHA384", 0, ""},
	{"TLS_CHACHA20_POLY1305_SHA256", 0, ""},
	{"TLS_RSA_WITH_AES_128_CBC_SHA", 0, "AES128-SHA"},
	{"TLS_RSA_WITH_AES_256_CBC_SHA", 0, "AES256-SHA"},
	{"TLS_RSA_WITH_AES_128_GCM_SHA256", 0, "AES128-GCM-SHA256"},
	{"TLS_RSA_WITH_AES_256_GCM_SHA384", 0, "AES256-GCM-SHA384"},
	{"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0, "ECDHE-ECDSA-AES128-SHA"},
	{"TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", 0, "ECDHE-ECDSA-AES256-SHA"},
	{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", 0, "ECDHE-RSA-AES128-SHA"},
	{"TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", 0, "ECDHE-RSA-AES256-SHA"},
	{"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0, "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", 0, "ECDHE-ECDSA-AES256-GCM-SHA384"},
	{"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", 0, "ECDHE-RSA-AES128-GCM-SHA256"},
	{"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", 0, "ECDHE-RSA-AES256-GCM-SHA384"},
	{"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", 0, "ECDHE-RSA-CHACHA20-POLY1305"},
	{"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", 0,
		"ECDHE-ECDSA-CHACHA20-POLY1305"},
	{NULL, 0, NULL},
};

const struct web_word web_words_curves[] = {
	{"CurveP256", 0, "P-256"},
	{"CurveP384", 0, "P-384"},
	{"CurveP521", 0, "P-521"},
	{"X25519", 0, "X25519"},
	{NULL, 0, NULL},
};

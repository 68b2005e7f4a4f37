/* SPDX-License-Identifier: MIT */
/* The words that values in the web configuration may be, by the names that Go has for
 * them. Constant tables; the last entry has no name. */
#ifndef LOOPLAG_DAEMON_WEB_WORDS_H
#define LOOPLAG_DAEMON_WEB_WORDS_H

struct web_word {
	const char *name;
	int number;       /* what it stands for */
	const char *text; /* OpenSSL's name for it; "": it has none to choose by */
};

extern const struct web_word web_words_booleans[];
extern const struct web_word web_words_ciphers[];
extern const struct web_word web_words_client_auths[];
extern const struct web_word web_words_curves[];
extern const struct web_word web_words_versions[];

#endif

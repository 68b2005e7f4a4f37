/* SPDX-License-Identifier: MIT */
/*
 * The journal's native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram of lines
 * NAME=VALUE, or, where the value has line feeds, of
 *
 *	NAME <line feed> length, 64 bits, little endian <value> <line feed>
 *
 * sd_journal_sendv() does the same on a socket that blocks: with a journal that stands
 * still its 12th message waits for ever, and with it our loop.
 */

#include "config.h"

#include "daemon/journal.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* As syslog counts. */
static const int priorities[] = {
	[LOG_LEVEL_DEBUG] = 7,
	[LOG_LEVEL_INFO] = 6,
	[LOG_LEVEL_WARN] = 4,
	[LOG_LEVEL_ERROR] = 3,
};

static int journal_fd = -1;
static struct sockaddr_un address;
static unsigned long long lost; /* since the last entry that the journal took */

bool
journal_is_stream(const char *stream, const struct stat *st)
{
	char name[64];

	snprintf(name, sizeof(name), "%llu:%llu", (unsigned long long)st->st_dev,
		(unsigned long long)st->st_ino);
	return stream && !strcmp(stream, name);
}

int
journal_open(const char *path)
{
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	journal_close();
	address.sun_family = AF_UNIX;
	strcpy(address.sun_path, path);
	journal_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return journal_fd < 0 ? -errno : 0;
}

void
journal_close(void)
{
	if (journal_fd >= 0)
		close(journal_fd);
	journal_fd = -1;
}

static void
add(FILE *out, const char *name, const char *value)
{
	uint64_t length = strlen(value), little_endian = htole64(length);

	if (strchr(value, '\n')) {
		fprintf(out, "%s\n", name);
		fwrite(&little_endian, sizeof(little_endian), 1, out);
	} else {
		fprintf(out, "%s=", name);
	}
	fwrite(value, 1, length, out);
	putc('\n', out);
}

static void
add_field(FILE *out, const struct log_field *field)
{
	char name[64] = "LOOPLAG_", number[32];
	size_t length = strlen(name);

	for (const char *c = field->name; *c && length < sizeof(name) - 1; c++)
		name[length++] = (char)toupper((unsigned char)*c);
	snprintf(number, sizeof(number), "%llu", (unsigned long long)field->number);
	add(out, name, field->text ? field->text : number);
	/* The journal believes this of root alone. */
	if (!strcmp(field->name, "pid") && !field->text && !geteuid())
		add(out, "OBJECT_PID", number);
}

/* The message, and that some before it were lost. */
static void
add_message(FILE *out, const char *text)
{
	char *whole;

	if (!lost || asprintf(&whole,
			     "%s (%llu entries before this one were lost: the journal "
			     "did not take them)",
			     text, lost) < 0) {
		add(out, "MESSAGE", text);
		return;
	}
	add(out, "MESSAGE", whole);
	free(whole);
}

/* Send one datagram. Returns 0 or -errno. */
static int
send_entry(const char *data, size_t size)
{
	ssize_t sent = sendto(journal_fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT,
		(const struct sockaddr *)&address, sizeof(address));

	return sent < 0 ? -errno : 0;
}

void
journal_write(enum log_level level, const char *token, const char *id, const char *text,
	const struct log_field *fields, size_t count)
{
	int saved_errno = errno, error = -ENOMEM;
	char *data = NULL, priority[] = {(char)('0' + priorities[level]), '\0'};
	size_t size;
	FILE *out;

	if (journal_fd < 0) {
		log_fields(level, token, text, fields, count);
		return;
	}
	if (!log_shows(level))
		return;
	out = open_memstream(&data, &size);
	if (out) {
		add_message(out, text);
		add(out, "MESSAGE_ID", id);
		add(out, "PRIORITY", priority);
		add(out, "SYSLOG_IDENTIFIER", program_invocation_short_name);
		for (size_t i = 0; i < count; i++)
			add_field(out, &fields[i]);
		if (!fclose(out))
			error = send_entry(data, size);
	}
	free(data);
	lost = error ? lost + 1 : 0;
	errno = saved_errno;
}

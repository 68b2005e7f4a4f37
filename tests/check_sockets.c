/* SPDX-License-Identifier: MIT */
/* The listening sockets: stale files are replaced, live ones and strangers are not. */

#include "config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/sockets.h"

static char directory[64], path[SOCKETS_PATH_BYTES];

static void
set_up(void)
{
	strcpy(directory, "/tmp/check-sockets-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/probe.sock", directory);
}

static void
tear_down(void)
{
	unlink(path);
	rmdir(directory);
}

/* Connect a client of that kind. */
static int
connect_to(const char *where, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	strcpy(address.sun_path, where);
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	close(fd);
	return -1;
}

START_TEST(every_user_may_connect_whatever_the_umask)
{
	struct probe_socket probe;
	struct stat file;
	int client;

	umask(0077);
	ck_assert_int_eq(sockets_listen_probe(path, &probe), 0);
	ck_assert_int_eq(stat(path, &file), 0);
	ck_assert_int_eq(file.st_mode & 07777, 0666);
	client = connect_to(path, SOCK_SEQPACKET);
	ck_assert_int_ge(client, 0);
	close(client);
	sockets_close_probe(&probe);
	ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

START_TEST(neither_socket_blocks_or_reaches_children)
{
	struct probe_socket probe;
	int http;

	ck_assert_int_eq(sockets_listen_probe(path, &probe), 0);
	ck_assert_int_eq(sockets_listen_http("127.0.0.1:0", &http), 0);
	ck_assert(fcntl(probe.fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(probe.fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(http, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(http, F_GETFD) & FD_CLOEXEC);
	close(http);
	sockets_close_probe(&probe);
}
END_TEST

START_TEST(the_file_of_a_dead_daemon_is_replaced)
{
	struct probe_socket dead, probe;

	ck_assert_int_eq(sockets_listen_probe(path, &dead), 0);
	close(dead.fd);
	ck_assert_int_eq(access(path, F_OK), 0);
	ck_assert_int_eq(sockets_listen_probe(path, &probe), 0);
	sockets_close_probe(&probe);
}
END_TEST

START_TEST(a_socket_that_somebody_listens_on_is_left_alone)
{
	struct probe_socket live, probe = {.fd = -2};
	int client;

	ck_assert_int_eq(sockets_listen_probe(path, &live), 0);
	ck_assert_int_eq(sockets_listen_probe(path, &probe), -EADDRINUSE);
	ck_assert_int_eq(probe.fd, -2);
	client = connect_to(path, SOCK_SEQPACKET);
	ck_assert_int_ge(client, 0);
	close(client);
	sockets_close_probe(&live);
}
END_TEST

START_TEST(a_file_that_is_no_socket_is_left_alone)
{
	struct probe_socket probe;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);

	close(fd);
	ck_assert_int_eq(sockets_listen_probe(path, &probe), -EEXIST);
	ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(closing_leaves_the_socket_that_another_daemon_put_there)
{
	struct probe_socket first, second;
	int client;

	ck_assert_int_eq(sockets_listen_probe(path, &first), 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(sockets_listen_probe(path, &second), 0);
	sockets_close_probe(&first);
	client = connect_to(path, SOCK_SEQPACKET);
	ck_assert_int_ge(client, 0);
	close(client);
	sockets_close_probe(&second);
}
END_TEST

START_TEST(a_missing_directory_and_a_long_path_are_told_apart)
{
	struct probe_socket probe;
	char lengthy[200];

	ck_assert_int_eq(sockets_listen_probe("/nonexistent/s", &probe), -ENOENT);
	memset(lengthy, 'a', sizeof(lengthy) - 1);
	lengthy[0] = '/';
	lengthy[sizeof(lengthy) - 1] = 0;
	ck_assert_int_eq(sockets_listen_probe(lengthy, &probe), -ENAMETOOLONG);
}
END_TEST

START_TEST(a_port_in_use_is_told_and_port_zero_finds_one)
{
	char where[SOCKETS_ADDRESS_BYTES];
	int fd, other;

	ck_assert_int_eq(sockets_listen_http("127.0.0.1:0", &fd), 0);
	sockets_describe(fd, where);
	ck_assert_int_eq(strncmp(where, "127.0.0.1:", 10), 0);
	ck_assert_str_ne(where, "127.0.0.1:0");
	ck_assert_int_eq(sockets_listen_http(where, &other), -EADDRINUSE);
	close(fd);
}
END_TEST

START_TEST(a_host_that_does_not_exist_is_told)
{
	int fd;

	ck_assert_int_eq(sockets_listen_http("256.0.0.1:0", &fd), -ENXIO);
}
END_TEST

START_TEST(without_a_host_both_protocols_are_served)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	char where[SOCKETS_ADDRESS_BYTES];
	int fd, client;

	ck_assert_int_eq(sockets_listen_http(":0", &fd), 0);
	sockets_describe(fd, where);
	v4.sin_port = htons((uint16_t)atoi(strrchr(where, ':') + 1));
	v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	client = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_int_eq(connect(client, (struct sockaddr *)&v4, sizeof(v4)), 0);
	close(client);
	close(fd);
}
END_TEST

static Suite *
sockets_suite(void)
{
	Suite *suite = suite_create("sockets");
	TCase *probe = tcase_create("probe"), *http = tcase_create("http");

	tcase_add_checked_fixture(probe, set_up, tear_down);
	tcase_add_test(probe, every_user_may_connect_whatever_the_umask);
	tcase_add_test(probe, neither_socket_blocks_or_reaches_children);
	tcase_add_test(probe, the_file_of_a_dead_daemon_is_replaced);
	tcase_add_test(probe, a_socket_that_somebody_listens_on_is_left_alone);
	tcase_add_test(probe, a_file_that_is_no_socket_is_left_alone);
	tcase_add_test(probe, closing_leaves_the_socket_that_another_daemon_put_there);
	tcase_add_test(probe, a_missing_directory_and_a_long_path_are_told_apart);
	suite_add_tcase(suite, probe);
	tcase_add_test(http, a_port_in_use_is_told_and_port_zero_finds_one);
	tcase_add_test(http, a_host_that_does_not_exist_is_told);
	tcase_add_test(http, without_a_host_both_protocols_are_served);
	suite_add_tcase(suite, http);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(sockets_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* SPDX-License-Identifier: MIT */
/* An echo server on one GLib main loop. Says "listening PORT". Built by its test, where
 * GLib is there. */

#include <glib-unix.h>
#include <glib.h>

#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

static gboolean
on_readable(gint fd, GIOCondition condition, gpointer data)
{
	char buffer[4096];
	ssize_t length = read(fd, buffer, sizeof(buffer));

	if (length > 0 && write(fd, buffer, (size_t)length) == length)
		return G_SOURCE_CONTINUE;
	close(fd);
	return G_SOURCE_REMOVE;
}

static gboolean
on_connection(gint fd, GIOCondition condition, gpointer data)
{
	int client = accept(fd, NULL, NULL);

	if (client >= 0)
		g_unix_fd_add(client, G_IO_IN | G_IO_HUP, on_readable, NULL);
	return G_SOURCE_CONTINUE;
}

static gboolean
on_term(gpointer loop)
{
	g_main_loop_quit(loop);
	return G_SOURCE_REMOVE;
}

int
main(void)
{
	GMainLoop *loop = g_main_loop_new(NULL, FALSE);
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t length = sizeof(address);
	int server = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(server, (struct sockaddr *)&address, sizeof(address)) ||
		listen(server, 64) ||
		getsockname(server, (struct sockaddr *)&address, &length))
		return 1;
	g_unix_fd_add(server, G_IO_IN, on_connection, NULL);
	g_unix_signal_add(SIGTERM, on_term, loop);
	g_print("listening %d\n", ntohs(address.sin_port));
	g_main_loop_run(loop);
	return 0;
}

/* Images through libjpeg, which is C, in worker processes: whatever it does to its process, one image suffers.
 *
 *     images make COUNT DIR             draws COUNT small images into DIR, and prints the name and the brightness of each;
 *                                       besides DIR/crash and DIR/hang, on which this program's own use of libjpeg goes wrong
 *     images measure [-t] DIR NAMES     prints the name, the state and the brightness of each image that the file NAMES lists, or
 *                                       what became of it; -t: with threads, which the first crash takes along
 *
 * Exit status: 0, also if images failed; 1 if the run did; 130 stopped by Ctrl-C. */
#include <pa/pa.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jpeglib.h>

#include "common/progress.h"

enum { WIDTH = 64, HEIGHT = 48 };

static void die(const char* what) {
  fprintf(stderr, "images: %s\n", what);
  exit(1);
}

/* ------------------------------------------------------------------ libjpeg */

typedef struct handler {
  struct jpeg_error_mgr base;
  jmp_buf out;
  char message[JMSG_LENGTH_MAX];
} handler;

static void give_up(j_common_ptr common) {
  handler* h = (handler*)common->err;
  common->err->format_message(common, h->message);
  longjmp(h->out, 1);
}

static void keep_quiet(j_common_ptr common, int level) { (void)common, (void)level; }

static void draw(const char* path, int brightness, const char* comment) {
  FILE* file = fopen(path, "wb");
  if (!file) die(path);
  struct jpeg_compress_struct image;
  struct jpeg_error_mgr errors;
  image.err = jpeg_std_error(&errors);
  jpeg_create_compress(&image);
  jpeg_stdio_dest(&image, file);
  image.image_width = WIDTH;
  image.image_height = HEIGHT;
  image.input_components = 1;
  image.in_color_space = JCS_GRAYSCALE;
  jpeg_set_defaults(&image);
  jpeg_start_compress(&image, TRUE);
  if (comment) jpeg_write_marker(&image, JPEG_COM, (const JOCTET*)comment, (unsigned)strlen(comment));
  JSAMPLE row[WIDTH];
  memset(row, brightness, sizeof row);
  JSAMPROW rows[] = {row};
  while (image.next_scanline < image.image_height) jpeg_write_scanlines(&image, rows, 1);
  jpeg_finish_compress(&image);
  jpeg_destroy_compress(&image);
  fclose(file);
}

/* The planted hang: after the end of the file, this source goes on with bytes that libjpeg skips for ever. */
static boolean pad_for_ever(j_decompress_ptr image) {
  static const JOCTET padding[] = {0xff, 0xff};
  image->src->next_input_byte = padding;
  image->src->bytes_in_buffer = sizeof padding;
  return TRUE;
}

static int has_comment(j_decompress_ptr image, const char* comment) {
  const jpeg_saved_marker_ptr marker = image->marker_list;
  return marker && marker->data_length == strlen(comment) && memcmp(marker->data, comment, marker->data_length) == 0;
}

/* The mean of all pixels of an image in memory. */
static int32_t measure_bytes(const unsigned char* bytes, size_t size, double* mean, pa_call* call) {
  struct jpeg_decompress_struct image;
  handler errors;
  image.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = give_up;
  errors.base.emit_message = keep_quiet;
  if (setjmp(errors.out)) {
    jpeg_destroy_decompress(&image);
    return pa_call_fail(call, 1, errors.message);
  }
  jpeg_create_decompress(&image);
  jpeg_mem_src(&image, bytes, size);
  jpeg_save_markers(&image, JPEG_COM, 0xffff);
  jpeg_read_header(&image, TRUE);
  if (has_comment(&image, "hang")) {
    image.src->fill_input_buffer = pad_for_ever;
    image.src->bytes_in_buffer = 0;
  }
  jpeg_start_decompress(&image);
  JSAMPLE row[4096];
  JSAMPROW rows[] = {has_comment(&image, "crash") ? NULL : row}; /* the planted crash: libjpeg writes to address 0 */
  double sum = 0;
  while (image.output_scanline < image.output_height) {
    jpeg_read_scanlines(&image, rows, 1);
    for (JDIMENSION x = 0; x < image.output_width; x++) sum += row[x];
  }
  *mean = sum / image.output_width / image.output_height;
  jpeg_finish_decompress(&image);
  jpeg_destroy_decompress(&image);
  return 0;
}

/* ------------------------------------------------------------------ the task */

/* item: the path of an image; value: its brightness, a double. */
static int32_t brightness(void* ctx, void* item, void** value, pa_call* call) {
  (void)ctx;
  static const size_t most = 1 << 20;
  FILE* file = fopen(item, "rb");
  if (!file) return pa_call_fail(call, 2, "can't be opened");
  unsigned char* bytes = malloc(most);
  double* mean = malloc(sizeof *mean);
  const size_t size = bytes ? fread(bytes, 1, most, file) : 0;
  fclose(file);
  const int32_t code = bytes && mean ? measure_bytes(bytes, size, mean, call) : pa_call_fail(call, 3, "no memory");
  free(bytes);
  if (code) {
    free(mean);
    return code;
  }
  *value = mean;
  return 0;
}

static void register_tasks(void) {
  pa_task task;
  pa_error error;
  pa_task_init(&task, sizeof task);
  task.fn = brightness;
  pa_codec_string(&task.item);
  pa_codec_struct(&task.value, sizeof(double));
  if (pa_task_register("brightness", &task, &error)) die(error.message);
}

/* ------------------------------------------------------------------ the program */

static int make(long count, const char* directory) {
  char path[4096];
  for (long i = 0; i < count; i++) {
    const int shade = (int)(i * 37 % 256);
    snprintf(path, sizeof path, "%s/%06ld.jpg", directory, i);
    draw(path, shade, NULL);
    printf("%06ld.jpg %d\n", i, shade);
  }
  snprintf(path, sizeof path, "%s/crash", directory);
  draw(path, 1, "crash");
  snprintf(path, sizeof path, "%s/hang", directory);
  draw(path, 1, "hang");
  return 0;
}

static pa_stop* stop;
static void stop_all(int number) {
  (void)number;
  pa_stop_request(stop);
}

static char* read_path(const char* directory, FILE* names) {
  char name[1024];
  if (!fgets(name, sizeof name, names)) return NULL;
  name[strcspn(name, "\n")] = 0;
  char* path = malloc(strlen(directory) + strlen(name) + 2);
  if (!path) die("no memory");
  sprintf(path, "%s/%s", directory, name);
  return path;
}

static int measure(const char* directory, const char* names_path, int32_t executor) {
  size_t n = 0, room = 1024;
  void** paths = malloc(room * sizeof *paths);
  FILE* names = fopen(names_path, "r");
  if (!names) die(names_path);
  for (char* path; paths && (path = read_path(directory, names)); paths[n++] = path)
    if (n == room) paths = realloc(paths, (room *= 2) * sizeof *paths);
  fclose(names);
  if (!paths) die("no memory");

  pa_options options;
  pa_result* result;
  pa_error error;
  progress bar;
  pa_options_init(&options, sizeof options);
  options.executor = executor;
  options.item_timeout_ns = 2000000000;
  options.on_progress = progress_show;
  options.progress_ctx = &bar;
  if (pa_stop_new(&stop, &error)) die(error.message);
  options.stop = stop;
  signal(SIGINT, stop_all);
  progress_begin(&bar, "images", 1);
  if (pa_map(brightness, NULL, paths, n, &options, &result, &error)) die(error.message);
  progress_end(&bar);

  for (uint64_t i = 0; i < pa_result_count(result); i++) {
    pa_outcome image;
    pa_result_at(result, i, &image, NULL);
    printf("%s %s ", strrchr(paths[i], '/') + 1, pa_item_name(image.state));
    if (image.state == PA_ITEM_OK)
      printf("%.1f\n", *(double*)image.value);
    else
      printf("%s\n", image.message);
    free(paths[i]);
  }
  const int status = pa_result_end(result) == PA_END_CANCELLED ? 130 : 0;
  free(paths);
  pa_result_free(result);
  pa_stop_release(stop);
  pa_drain(-1, NULL);
  return status;
}

int main(int argc, char** argv) {
  register_tasks();
  if (pa_worker_requested()) return pa_worker_serve(NULL) != PA_STATUS_OK;

  if (argc == 4 && strcmp(argv[1], "make") == 0) return make(atol(argv[2]), argv[3]);
  if (argc == 4 && strcmp(argv[1], "measure") == 0) return measure(argv[2], argv[3], PA_EXECUTOR_PROCESSES);
  if (argc == 5 && strcmp(argv[1], "measure") == 0 && strcmp(argv[2], "-t") == 0)
    return measure(argv[3], argv[4], PA_EXECUTOR_THREADS);
  fprintf(stderr, "usage: images make COUNT DIR\n       images measure [-t] DIR NAMES\n");
  return 2;
}

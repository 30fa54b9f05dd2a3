package libpa;

/** A task whose codec is another one in the program than in its worker. */
public final class ProcessCodecs {
  static final Task<Integer, Integer> NARROW = Task.register("narrow", Codecs.int32(), new Narrow(), x -> 10 * x);

  private static boolean serves;

  private ProcessCodecs() {}

  static WorkerProcesses processes() {
    return ProcessTasks.processes().mainClass(ProcessCodecs.class);
  }

  /**
   * A worker.
   *
   * @param arguments none
   */
  public static void main(String[] arguments) {
    serves = true;
    Parallel.workerMain();
  }

  private static final class Narrow implements Codec<Integer> {
    @Override
    public byte[] encode(Integer number) throws Exception {
      return Codecs.int32().encode(number);
    }

    @Override
    public Integer decode(byte[] bytes) throws Exception {
      final int number = Codecs.int32().decode(bytes);
      if (number == 40 && !serves) throw new InternalError("40");
      if (number == 20 && !serves) throw new IllegalStateException("20 is not for this program");
      return number;
    }
  }
}

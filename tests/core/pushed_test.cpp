// Streams whose inputs are pushed by whoever has some, instead of pulled.
#include "core/job.hpp"
#include "stream_stage.hpp"

namespace pa {
namespace {

TEST(Stream, PushedInputsAreNotPulled) {
  Stage stage{pushed_stream()};
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::again);
  EXPECT_TRUE(stage.admit(3, false));
  EXPECT_EQ(stage.wake.takers, 1u);
  EXPECT_EQ(stage.take(lease), Take::lease);
}

TEST(Stream, ThereIsRoomForAsManyInputsAsTheWindowHas) {
  JobConfig config = pushed_stream();
  config.window = 4;
  Stage stage{config};
  EXPECT_EQ(stage.job.room_for_inputs(), 4u);
  ASSERT_TRUE(stage.admit(3, false));
  EXPECT_EQ(stage.job.room_for_inputs(), 1u);
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  ASSERT_EQ(stage.next(), Next::chunk);
  EXPECT_EQ(stage.job.room_for_inputs(), 1u) << "the consumer still has it";
  ASSERT_EQ(stage.next(), Next::again);
  EXPECT_EQ(stage.job.room_for_inputs(), 2u);
}

TEST(Stream, AfterTheLastInputThereIsNoRoom) {
  Stage stage{pushed_stream()};
  ASSERT_TRUE(stage.admit(1, true));
  EXPECT_EQ(stage.job.room_for_inputs(), 0u);
  EXPECT_FALSE(stage.admit(1, false));
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  EXPECT_EQ(stage.job.end(), End::completed);
  EXPECT_EQ(handed_out(stage), (Indices{0}));
}

TEST(Stream, TheEndOfPushedInputsMayComeAlone) {
  Stage stage{pushed_stream()};
  ASSERT_TRUE(stage.admit(1, false));
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  ASSERT_EQ(handed_out(stage), (Indices{0}));
  ASSERT_TRUE(stage.admit(0, true));
  EXPECT_TRUE(stage.wake.owner);
  EXPECT_EQ(stage.next(), Next::done);
  EXPECT_EQ(stage.job.end(), End::completed);
}

TEST(Stream, AfterTheEndNothingIsAdmitted) {
  Stage stage{pushed_stream()};
  stage.end_as(End::cancelled);
  EXPECT_EQ(stage.job.room_for_inputs(), 0u);
  EXPECT_FALSE(stage.admit(1, false));
  EXPECT_EQ(stage.drained_count(), 0u);
  EXPECT_TRUE(stage.job.settled());
}

// The pusher may bring more than there is room for; then nothing more is admitted until it is.
TEST(Stream, MoreInputsThanThereIsRoomForMayBePushed) {
  JobConfig config = pushed_stream();
  config.window = 100;
  config.chunk = 2;
  config.fixed_lease = 10;
  Stage stage{config};
  ASSERT_TRUE(stage.admit(5, false));
  EXPECT_EQ(stage.job.room_for_inputs(), 1u) << "the rest of the third chunk";
  Lease lease;
  ASSERT_EQ(stage.take(lease), Take::lease);
  stage.complete(lease);
  EXPECT_EQ(stage.job.room_for_inputs(), 1u);
}

}  // namespace
}  // namespace pa

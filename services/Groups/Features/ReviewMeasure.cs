using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary>A timer: imposes a measure, or ends it, when its time has come.</summary>
public sealed class ReviewMeasure(Streams streams, TimeProvider time) : ITimerHandler
{
    public string Kind => Timetable.ReviewMeasure;

    public Task HandleAsync(Guid subject, CancellationToken cancellation) =>
        streams.ChangeAsync<Measure, MeasureEvent>(subject, (loaded, _) =>
            ValueTask.FromResult(Measure.DecideReview(loaded.State, time.GetUtcNow())), cancellation);
}

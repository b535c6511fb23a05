using Huzhu.Groups.Domain;
using Huzhu.ServiceDefaults;

namespace Huzhu.Groups.Features;

/// <summary>A timer: brings one provider in line with the time and with the measures in force.</summary>
public sealed class ReviewProvider(Streams streams, MeasuresInForce measures, TimeProvider time) : ITimerHandler
{
    public string Kind => Timetable.ReviewProvider;

    public Task HandleAsync(Guid subject, CancellationToken cancellation) =>
        streams.ChangeAsync<Provider, ProviderEvent>(subject, async (loaded, session) =>
            Provider.DecideReview(loaded.State, await measures.ReadAsync(session, cancellation), time.GetUtcNow()), cancellation);
}

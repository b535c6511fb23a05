using Huzhu.Contracts;
using Huzhu.Contracts.Groups.V1;
using Huzhu.Matching.Deciding;
using MassTransit;

namespace Huzhu.Matching.Features;

/// <summary>
/// The directory's entry of a responder has changed. First the ledger: from that commit on nothing new goes to one that
/// shut. Then what it may not keep is taken from it, in chunks. A repeat of the message goes on with an interrupted sweep.
/// </summary>
public sealed class UpdateResponderConsumer(DecisionLoop loop, Sweeps sweeps) : IConsumer<ResponderChanged>
{
    public async Task Consume(ConsumeContext<ResponderChanged> context)
    {
        var entry = context.Message;
        if (entry.Version < 1)
            throw new MalformedMessageException($"Responder {entry.ResponderId}: the version must be at least 1.");
        if (entry.Sites.Any(site => !site.Place.IsOnEarth))
            throw new MalformedMessageException($"Responder {entry.ResponderId}: a site is not on Earth.");
        await loop.DoAsync(new ResponderWork(entry, context.Cause()), context.CancellationToken);
        if (entry.Opening is not Opening.Open)
            await sweeps.TakeFromAsync(entry.ResponderId, context.Cause(), context.CancellationToken);
    }
}

public sealed class UpdateResponderDefinition : DecidingConsumerDefinition<UpdateResponderConsumer>;

using System.Security.Cryptography;
using Huzhu.Contracts;
using Huzhu.Notifications;
using Huzhu.Notifications.Channels;
using Huzhu.Notifications.Domain;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Xunit;

namespace Huzhu.Tests.Integration.Notifications;

[Collection(NotificationsCollection.Name)]
public sealed class AnswerBookTests(NotificationsFixture fixture)
{
    /// <summary>A coordinator who was told a number yesterday answers with it today, whichever replica hears it.</summary>
    [Fact]
    public async Task an_offer_told_before_a_rotation_of_the_key_is_answered_after_it_and_the_other_way_round()
    {
        var (old, next) = (RandomNumberGenerator.GetBytes(32), RandomNumberGenerator.GetBytes(32));
        var (before, after) = (Open(old, next), Open(next, old));
        var who = new Replier("wechat.w", Guid.NewGuid().ToString());
        var (first, second) = (Told(), Told());
        var number = await before.NoteAsync(who, first, first.At, TestContext.Current.CancellationToken);
        // The second one must not get the number of the first, which stands under the other key.
        var another = await after.NoteAsync(who, second, second.At, TestContext.Current.CancellationToken);
        Assert.NotEqual(number, another);
        foreach (var (book, asked, offer) in new[] { (after, number, first), (before, another, second), (after, another, second), (before, number, first) })
        {
            var found = Assert.Single(await book.FindAsync(who, AnswerVerb.Accept, asked, $"{Guid.NewGuid()}", null, TestContext.Current.CancellationToken));
            Assert.Equal(offer.OfferId, found.OfferId);
        }
        // Without the previous key nothing of before is known.
        Assert.Empty(await Open(RandomNumberGenerator.GetBytes(32)).FindAsync(who, AnswerVerb.Accept, number, "m", null, TestContext.Current.CancellationToken));
    }

    private AnswerBook Open(byte[] key, params byte[][] previous) => new(fixture.Sql, new ConfigurationBuilder().AddInMemoryCollection(
        previous.Select((one, index) => new KeyValuePair<string, string?>($"{LinkSigner.PreviousOffersKeys}:{index}", Convert.ToBase64String(one)))
            .Append(new(LinkSigner.OffersKey, Convert.ToBase64String(key)))).Build(), TimeProvider.System);

    private static NotificationRequested Told()
    {
        var now = DateTimeOffset.UtcNow;
        return new NotificationRequested(Guid.NewGuid(), "OfferMade", now, Audience.Responder, MessageKind.OfferMade, new NeedId(Guid.NewGuid()), new RequestId(Guid.NewGuid()),
            new OfferId(Guid.NewGuid()), new ResponderId(Guid.NewGuid()), null, null, null, null, null, now.AddHours(1), now);
    }
}

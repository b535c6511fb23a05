using CsCheck;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;
using Huzhu.Requests.Storage;
using Huzhu.ServiceDefaults;
using Microsoft.Extensions.Configuration;
using Xunit;
using Decider = Huzhu.Requests.Domain.Request;

namespace Huzhu.Tests.Unit.Requests;

public class IntakeTests
{
    private static readonly DateTimeOffset Now = Given.Now;

    private static IntakeForm Form() => new()
    {
        Source = "hotline-12345",
        ExternalId = "call-42",
        Channel = "phone",
        ReceivedAt = "2022-04-01T08:30:00+08:00",
        Caller = new CallerForm { Ref = "caller-1", Name = "Ms Lin", Phone = "+86 138-0000-0000", Channels = [new ChannelForm { Kind = "webhook", Address = "https://x.example" }] },
        OnBehalfOf = new OnBehalfOfForm { Ref = "person-1", Name = "Mr Lin" },
        Location = new LocationForm { Lat = 31.2201, Lon = 121.4401, AccuracyMetres = 30, Text = "Building 3" },
        Needs = [new NeedForm { Kind = "specialised.medicine", Mode = "offline", Quantity = 1, Note = "insulin" }],
        Urgency = "health",
        Communication = ["text-only", "proxy", "text-only"],
        Consent = new ConsentForm { Basis = "explicit", At = "2022-04-01T08:30:00+08:00" },
        CallbackOk = true,
    };

    private static CallForHelp Read(IntakeForm form)
    {
        var (call, errors) = IntakeCheck.Run(form, Now);
        Assert.True(call is not null, string.Join("; ", errors.Select(error => $"{error.Key}: {string.Join(' ', error.Value)}")));
        return call;
    }

    private static IEnumerable<string> Errors(IntakeForm form) => IntakeCheck.Run(form, Now).Errors.Keys.Order(StringComparer.Ordinal);

    [Fact]
    public void a_good_form_is_read()
    {
        var call = Read(Form());
        Assert.Equal(new DateTimeOffset(2022, 4, 1, 0, 30, 0, TimeSpan.Zero), call.ReceivedAt);
        Assert.Equal(TimeSpan.Zero, call.ReceivedAt.Offset);
        Assert.Equal([CommunicationNeed.TextOnly, CommunicationNeed.Proxy], call.Communication);
        Assert.Equal(new WantedHelp("specialised.medicine", DeliveryMode.Offline, 1, "insulin"), Assert.Single(call.Needs));
        Assert.NotEqual(call.PersonId, call.CallerId);
    }

    [Fact]
    public void an_empty_form_names_all_that_is_required() =>
        Assert.Equal(["caller", "channel", "externalId", "receivedAt", "source", "urgency"], Errors(new IntakeForm()));

    public static TheoryData<string, string> Bad => new()
    {
        { "source", "a b" }, { "source", new string('a', 201) }, { "source", "a:b" }, { "source", "a\nb" },
        { "externalId", new string('a', 201) }, { "externalId", "a\u0000b" }, { "externalId", "  " },
        { "channel", "Phone" }, { "channel", "a free text about somebody" }, { "channel", new string('a', 41) },
        { "receivedAt", "2022-04-01T08:30:00" }, { "receivedAt", "yesterday" }, { "receivedAt", "2022-04-01T00:35:01Z" }, { "receivedAt", "2022-13-01T00:00:00Z" },
        { "urgency", "Health" }, { "urgency", "1" }, { "urgency", "asap" },
        { "caller.ref", "" }, { "caller.ref", new string('a', 201) }, { "caller.name", new string('a', 201) },
        { "caller.phone", "call me" }, { "caller.phone", "12" }, { "caller.phone", "1234567890123456789012345678901234567890123" }, { "caller.language", "chinese (mandarin)" },
        { "caller.channels[0].kind", "" }, { "caller.channels[0].kind", "Web Hook" }, { "caller.channels[0].address", " " }, { "caller.channels[0].address", new string('a', 501) },
        { "onBehalfOf.ref", "" }, { "onBehalfOf.name", new string('a', 201) },
        { "location.datum", "BD09" }, { "location.text", new string('a', 501) }, { "location.subDistrict", "J\u0007" },
        { "needs[0].kind", "haircut" }, { "needs[0].kind", "" }, { "needs[0].mode", "by-post" }, { "needs[0].note", new string('a', 4001) },
        { "communication[0]", "telepathy" }, { "ownGroupId", "ours" }, { "consent.basis", "They said yes, I think" }, { "consent.at", "2030-01-01T00:00:00Z" },
    };

    [Theory, MemberData(nameof(Bad))]
    public void a_bad_value_is_named_by_its_path(string path, string value) => Assert.Equal([path], Errors(With(Form(), path, value)));

    [Fact]
    public void numbers_and_lists_are_bounded()
    {
        var form = Form();
        var channel = form.Caller!.Channels![0];
        Assert.Equal(["caller.channels"], Errors(form with { Caller = form.Caller with { Channels = [.. Enumerable.Repeat(channel, 6)] } }));
        Assert.Equal(["needs"], Errors(form with { Needs = [.. Enumerable.Repeat(form.Needs![0], 21)] }));
        Assert.Equal(["communication"], Errors(form with { Communication = [.. Enumerable.Repeat("proxy", 1000)] }));
        foreach (var quantity in new[] { 0, -1, 1001, int.MaxValue })
            Assert.Equal(["needs[0].quantity"], Errors(form with { Needs = [form.Needs![0]! with { Quantity = quantity }] }));
        foreach (var quantity in new[] { 1, 1000 })
            Assert.Empty(Errors(form with { Needs = [form.Needs![0]! with { Quantity = quantity }] }));
        Assert.Equal(["location.accuracyMetres"], Errors(form with { Location = form.Location! with { AccuracyMetres = -1 } }));
        foreach (var (lat, lon) in new[] { (-90.0001, 0.0), (90.0001, 0), (double.NaN, 0) })
            Assert.Equal(["location.lat"], Errors(form with { Location = form.Location! with { Lat = lat, Lon = lon } }));
        foreach (var lon in new[] { -180.0001, 180.0001, double.PositiveInfinity })
            Assert.Equal(["location.lon"], Errors(form with { Location = form.Location! with { Lon = lon } }));
        Assert.Equal(["location.lon"], Errors(form with { Location = form.Location! with { Lon = null } }));
        Assert.Equal(["caller.channels[1].address", "caller.channels[1].kind"], Errors(form with { Caller = form.Caller with { Channels = [channel, null] } }));
    }

    [Theory]
    [InlineData("2022-04-01T00:35:00Z")]
    [InlineData("2022-04-01T08:35:00+08:00")]
    [InlineData("1999-12-31T23:59:59.123-05:00")]
    public void a_clock_may_be_five_minutes_ahead(string receivedAt) => Assert.Empty(Errors(Form() with { ReceivedAt = receivedAt }));

    [Fact]
    public void a_place_without_a_position_is_kept_as_text()
    {
        var call = Read(Form() with { Location = new LocationForm { Text = "behind the market" } });
        Assert.Equal((null, "behind the market"), (call.ExactPlace, call.Person.AddressText));
    }

    [Fact]
    public void ids_are_made_of_the_source_and_its_references()
    {
        var call = Read(Form());
        Assert.Equal(call.RequestId, Read(Form() with { Urgency = "routine" }).RequestId);
        Assert.NotEqual(call.RequestId, Read(Form() with { Source = "hotline-1234", ExternalId = "5call-42" }).RequestId);
        Assert.Equal(call.PersonId, Read(Form() with { ExternalId = "another" }).PersonId);
        Assert.Equal(call.CallerId, Read(Form() with { OnBehalfOf = null }).PersonId);
        Assert.NotEqual(call.PersonId, Read(Form() with { Source = "another" }).PersonId);
        // Frozen: a change would make every person and every request another one.
        Assert.Equal("b8af7974-42a2-5968-8bb2-5206f98fd311", call.RequestId.ToString());
    }

    [Fact]
    public void what_is_stored_gives_the_same_intake_back()
    {
        var call = Read(Form() with { OwnGroupId = Given.Helper.ToString() });
        var content = Given.Content(place: call.ExactPlace!.Value.Snapped(), urgency: call.Urgency) with
        {
            Needs = [.. call.Needs.Select((need, index) => new AskedNeed(CallForHelp.NeedIdOf(call.RequestId, index), need.Kind, need.Mode, need.Quantity, null))],
            Communication = call.Communication,
            OwnGroupId = call.OwnGroupId,
            Consent = call.Consent,
        };
        var state = Decider.Fold([new RequestSubmitted(call.RequestId, call.PersonId, call.CallerId, call.Source, call.ExternalId, call.Channel, call.ReceivedAt, null, content, "", "me", Now)]);
        Assert.True(Fingerprints.AreEqual(call, CallForHelp.Restore(state, call.Person, call.Caller)));
        Assert.True(Fingerprints.AreEqual(call, Read(IntakeForm.Of(call))));
        Assert.True(Fingerprints.AreEqual(call, Read(IntakeForm.Of(call).With(new IntakeForm()))));
    }

    [Fact]
    public void new_parts_are_laid_over_what_is_known()
    {
        var known = IntakeForm.Of(Read(Form() with { Location = new LocationForm { Text = "Building 3", SubDistrict = "J" }, Needs = null }));
        var call = Read(known.With(new IntakeForm
        {
            Location = new LocationForm { Lat = 31.2201, Lon = 121.4401, Datum = "GCJ02" },
            Needs = Form().Needs,
            Caller = new CallerForm { Phone = "110" },
            OnBehalfOf = new OnBehalfOfForm { Name = "Old Lin" },
        }));
        Assert.Equal(("Building 3", "J"), (call.Person.AddressText, call.Person.SubDistrict));
        Assert.Equal(Datum.FromGcj02(new GeoPoint(31.2201, 121.4401)), call.ExactPlace);
        Assert.Equal(("caller-1", "Ms Lin", "110"), (call.Caller.Ref, call.Caller.Name, call.Caller.Phone));
        Assert.Equal(("person-1", "Old Lin"), (call.Person.Ref, call.Person.Name));
        Assert.Single(call.Needs);
        // What is in WGS84 by now is not shifted again by a later part that has no position.
        Assert.Equal(call.ExactPlace, Read(IntakeForm.Of(call).With(new IntakeForm { Location = new LocationForm { Datum = "GCJ02", Text = "x" } })).ExactPlace);
    }

    [Fact]
    public void idempotency_keys_are_found_again_after_the_rotation_of_the_master_key_and_equal_intakes_are_told_from_others()
    {
        var (old, now) = (Convert.ToBase64String(new byte[32]), Convert.ToBase64String(Enumerable.Repeat((byte)1, 32).ToArray()));
        var before = Prints(old);
        var after = Prints(now, old);
        var call = Read(Form());
        Assert.True(Fingerprints.AreEqual(call, Read(Form())));
        Assert.False(Fingerprints.AreEqual(call, Read(Form() with { Needs = [Form().Needs![0]! with { Note = "insulin!" }] })));
        Assert.Contains(before.OfIdempotencyKey("client", "key")[0], after.OfIdempotencyKey("client", "key"));
        Assert.NotEqual(before.OfIdempotencyKey("client", "key")[0], before.OfIdempotencyKey("client2", "key")[0]);
    }

    [Fact]
    public void any_form_is_read_or_refused_and_never_fails()
    {
        Gen<string?> text = Gen.OneOf<string?>(Gen.Const<string?>((string?)null), Gen.String.Select(value => (string?)value),
            Gen.OneOf<string?>(new string?[] { "", "phone", "health", "meals", "offline", "\u0000", "2022-04-01T08:30:00+08:00" }));
        Gen<double?> number = Gen.OneOf<double?>(Gen.Const<double?>((double?)null), Gen.Double.Select(value => (double?)value), Gen.Double[-200, 200].Select(value => (double?)value));
        Gen.Select(text.Array[16], number.Array[3], Gen.Int).Sample((texts, numbers, quantity) =>
        {
            var form = new IntakeForm
            {
                Source = texts[0],
                ExternalId = texts[1],
                Channel = texts[2],
                ReceivedAt = texts[3],
                OperatorId = texts[4],
                Caller = new CallerForm { Ref = texts[5], Phone = texts[6], Language = texts[7], Channels = [new ChannelForm { Kind = texts[8], Address = texts[9] }, null] },
                OnBehalfOf = new OnBehalfOfForm { Ref = texts[10] },
                Location = new LocationForm { Lat = numbers[0], Lon = numbers[1], AccuracyMetres = numbers[2], Datum = texts[11] },
                Needs = [new NeedForm { Kind = texts[12], Mode = texts[13], Quantity = quantity }, null],
                Urgency = texts[14],
                Communication = [texts[15], null],
            };
            var (call, errors) = IntakeCheck.Run(form, Now);
            Assert.Equal(call is null, errors.Count > 0);
        });
    }

    private static Fingerprints Prints(string? masterKey = null, string? previous = null)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["PersonalData:MasterKey"] = masterKey ?? Convert.ToBase64String(new byte[32]),
            ["PersonalData:PreviousMasterKeys:0"] = previous,
        }.Where(pair => pair.Value is not null)).Build();
        return new Fingerprints(new PersonalDataVault(Npgsql.NpgsqlDataSource.Create("Host=unused"), configuration), configuration);
    }

    private static IntakeForm With(IntakeForm form, string path, string value) => path switch
    {
        "source" => form with { Source = value },
        "externalId" => form with { ExternalId = value },
        "channel" => form with { Channel = value },
        "receivedAt" => form with { ReceivedAt = value },
        "urgency" => form with { Urgency = value },
        "caller.ref" => form with { Caller = form.Caller! with { Ref = value } },
        "caller.name" => form with { Caller = form.Caller! with { Name = value } },
        "caller.phone" => form with { Caller = form.Caller! with { Phone = value } },
        "caller.language" => form with { Caller = form.Caller! with { Language = value } },
        "caller.channels[0].kind" => form with { Caller = form.Caller! with { Channels = [new ChannelForm { Kind = value, Address = "x" }] } },
        "caller.channels[0].address" => form with { Caller = form.Caller! with { Channels = [new ChannelForm { Kind = "file", Address = value }] } },
        "onBehalfOf.ref" => form with { OnBehalfOf = new OnBehalfOfForm { Ref = value } },
        "onBehalfOf.name" => form with { OnBehalfOf = new OnBehalfOfForm { Ref = "x", Name = value } },
        "location.datum" => form with { Location = form.Location! with { Datum = value } },
        "location.text" => form with { Location = form.Location! with { Text = value } },
        "location.subDistrict" => form with { Location = form.Location! with { SubDistrict = value } },
        "needs[0].kind" => form with { Needs = [form.Needs![0]! with { Kind = value }] },
        "needs[0].mode" => form with { Needs = [form.Needs![0]! with { Mode = value }] },
        "needs[0].note" => form with { Needs = [form.Needs![0]! with { Note = value }] },
        "communication[0]" => form with { Communication = [value] },
        "ownGroupId" => form with { OwnGroupId = value },
        "consent.basis" => form with { Consent = form.Consent! with { Basis = value } },
        "consent.at" => form with { Consent = form.Consent! with { At = value } },
        _ => throw new ArgumentException(path),
    };
}

using System.Text;
using Huzhu.Groups.Domain;
using Huzhu.Groups.Features;
using Xunit;

namespace Huzhu.Tests.Unit.Groups;

/// <summary>What providers' systems may send, and what is said to them when it cannot be read.</summary>
public class ProviderEventFormatTests
{
    private const string Provider = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff";
    private const string Structured = "application/cloudevents+json; charset=utf-8";

    private static readonly (string, string)[] Attributes =
    [
        ("specversion", "1.0"), ("id", "7"), ("source", "//clinic.example"), ("type", "org.huzhu.provider.closed.v1"), ("subject", Provider), ("time", "2022-04-01T08:00:00Z"),
    ];

    [Fact]
    public void structured_mode_is_read()
    {
        var (word, problem) = Read(Structured, [], $$$"""
            {"specversion":"1.0","id":"7","source":"//clinic.example","type":"org.huzhu.provider.closed.v1","subject":"{{{Provider}}}","time":"2022-04-01T08:00:00Z",
             "datacontenttype":"application/json","data":{"reason":"lockdown","from":"2022-04-01T18:00:00+08:00","until":"2022-06-01T00:00:00+08:00"}}
            """);
        Assert.Null(problem);
        Assert.Equal(new ProviderWord(new Guid(Provider), true, "lockdown", At("2022-04-01T10:00:00Z"), At("2022-05-31T16:00:00Z"), At("2022-04-01T08:00:00Z"), new CloudEventOrigin("//clinic.example", "7")), word);
    }

    [Theory, InlineData("application/json"), InlineData(null), InlineData("application/json; charset=utf-8")]
    public void binary_mode_is_read(string? contentType)
    {
        var (word, problem) = Read(contentType, Attributes, """{"reason":"lockdown"}""");
        Assert.Null(problem);
        Assert.Equal(new ProviderWord(new Guid(Provider), true, "lockdown", null, null, At("2022-04-01T08:00:00Z"), new CloudEventOrigin("//clinic.example", "7")), word);
    }

    [Fact]
    public void a_reopening_without_time_and_with_unknown_extensions_is_read()
    {
        var (word, problem) = Read("application/json",
            [.. With("type", "org.huzhu.provider.reopened.v1").Where(one => one.Item1 != "time"), ("partitionkey", "12"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")],
            """{"reason":"over","extra":1}""");
        Assert.Null(problem);
        Assert.False(word!.Closes);
        Assert.Null(word.Time);
    }

    public static TheoryData<string, string?, (string, string)[], string> Malformed => new()
    {
        { "not a CloudEvent", "application/json", [], """{"reason":"lockdown"}""" },
        { "not a CloudEvent", null, [], "hello" },
        { "not a CloudEvent", "text/plain", [], "" },
        { "cannot be read", Structured, [], "{" },
        { "cannot be read", Structured, [], "" },
        { "cannot be read", Structured, [], "[]" },
        { "cannot be read", Structured, [], """{"id":"7"}""" },
        { "only application/cloudevents+json", "application/cloudevents-batch+json", [], "[]" },
        { "only application/cloudevents+json", "application/cloudevents+avro", [], "x" },
        { "cannot be read", "not a type at all;;;", Attributes, "{}" },
        { "specversion must be 1.0", "application/json", With("specversion", "0.3"), "{}" },
        { "cannot be read", "application/json", Without("id"), "{}" },
        { "cannot be read", "application/json", Without("source"), "{}" },
        { "cannot be read", "application/json", Without("type"), "{}" },
        { "cannot be read", "application/json", With("time", "yesterday"), "{}" },
        { "type must be", "application/json", With("type", "org.huzhu.provider.moved.v1"), """{"reason":"r"}""" },
        { "subject must be", "application/json", Without("subject"), """{"reason":"r"}""" },
        { "subject must be", "application/json", With("subject", "clinic"), """{"reason":"r"}""" },
        { "at most 500 characters", "application/json", With("id", new string('7', 501)), """{"reason":"r"}""" },
        { "cannot be read", "application/json", Attributes, "{" },
        { "JSON object", "application/json", Attributes, "" },
        { "JSON object", "application/json", Attributes, "[1]" },
        { "JSON object", "text/plain", Attributes, """{"reason":"r"}""" },
        { "data.reason", "application/json", Attributes, "{}" },
        { "data.reason", "application/json", Attributes, """{"reason":" "}""" },
        { "data.reason", "application/json", Attributes, """{"reason":5}""" },
        { "data.reason", "application/json", Attributes, $$"""{"reason":"{{new string('r', 501)}}"}""" },
        { "data.from", "application/json", Attributes, """{"reason":"r","from":"soon"}""" },
        { "data.from", "application/json", Attributes, """{"reason":"r","from":"2022-04-01T18:00:00"}""" },
        { "data.until", "application/json", Attributes, """{"reason":"r","until":1648771200}""" },
        { "after data.from", "application/json", Attributes, """{"reason":"r","from":"2022-04-01T18:00:00Z","until":"2022-04-01T18:00:00Z"}""" },
    };

    [Theory, MemberData(nameof(Malformed))]
    public void what_is_malformed_is_refused_in_one_sentence(string because, string? contentType, (string, string)[] attributes, string body)
    {
        var (word, problem) = Read(contentType, attributes, body);
        Assert.Null(word);
        Assert.Contains(because, problem!);
        Assert.DoesNotContain('\n', problem!);
    }

    [Fact]
    public void bytes_that_are_no_text_are_refused_and_do_not_throw() =>
        Assert.NotNull(ProviderEventFormat.Read(Structured, [], new byte[] { 0xff, 0xfe, 0, 1 }).Problem);

    [Fact]
    public void a_clock_that_runs_ahead_does_not_make_a_word_the_last_for_all_time()
    {
        var now = At("2022-04-01T08:00:00Z");
        var word = new ProviderWord(Guid.AllBitsSet, true, "r", null, null, now.AddYears(1), new CloudEventOrigin("s", "1")).At(now);
        Assert.Equal(now, word.SaidAt);
        Assert.Equal(now, word.From);
    }

    private static (ProviderWord? Word, string? Problem) Read(string? contentType, (string, string)[] attributes, string body) =>
        ProviderEventFormat.Read(contentType, attributes, Encoding.UTF8.GetBytes(body));

    private static (string, string)[] With(string name, string value) => [.. Attributes.Where(one => one.Item1 != name), (name, value)];

    private static (string, string)[] Without(string name) => [.. Attributes.Where(one => one.Item1 != name)];

    private static DateTimeOffset At(string text) => DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture);
}

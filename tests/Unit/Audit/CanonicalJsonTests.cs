using System.Globalization;
using System.Text;
using System.Text.Json;
using CsCheck;
using Huzhu.Audit.Sealing;
using Xunit;

namespace Huzhu.Tests.Unit.Audit;

/// <summary>The test data of cyberphone/json-canonicalization, and what it does not show.</summary>
public class CanonicalJsonTests
{
    [Theory]
    [InlineData(
        """{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001], "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}""",
        """{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}""")]
    [InlineData(
        """{"1": {"f": {"f": "hi","F": 5} ,"\n": 56.0}, "10": { }, "": "empty", "a": { }, "111": [ {"e": "yes","E": "no" } ], "A": { }}""",
        """{"":"empty","1":{"\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}""")]
    [InlineData("""{"sin": 4, "pêche": 3, "peach": 1, "péché": 2}""", """{"peach":1,"péché":2,"pêche":3,"sin":4}""")]
    public void the_published_vectors_come_out(string json, string canonical) => Assert.Equal(canonical, Canonical(json));

    [Fact]
    public void text_is_not_normalised() => Assert.Equal("2241cc8a22", Convert.ToHexStringLower(CanonicalJson.Of("\"A\\u030a\""u8.ToArray())));

    [Fact]
    public void members_are_in_the_order_of_utf16_code_units() =>
        // U+1F600 begins with a surrogate, below U+FB33 in UTF-16 and above it as a code point.
        Assert.Equal("{\"€\":1,\"\U0001F600\":2,\"\uFB33\":3}", Canonical("""{"\ufb33":3,"\ud83d\ude00":2,"\u20ac":1}"""));

    [Theory]
    [InlineData("0", "0")]
    [InlineData("-0.0", "0")]
    [InlineData("1e21", "1e+21")]
    [InlineData("123456789012345680000", "123456789012345680000")]
    [InlineData("0.000001", "0.000001")]
    [InlineData("0.0000001", "1e-7")]
    [InlineData("-1.50e2", "-150")]
    [InlineData("9007199254740993", "9007199254740992")]
    [InlineData("5e-324", "5e-324")]
    [InlineData("1.7976931348623157e308", "1.7976931348623157e+308")]
    public void numbers_are_written_as_ecmascript_writes_them(string json, string canonical) => Assert.Equal(canonical, Canonical(json));

    [Fact]
    public void exact_digits_change_nothing_that_a_double_holds() => Gen.Double.Where(double.IsFinite).Sample(value =>
    {
        var json = Encoding.UTF8.GetBytes(value.ToString("R", CultureInfo.InvariantCulture));
        Assert.Equal(CanonicalJson.Of(json), CanonicalJson.Of(json, exactDigits: true));
    });

    [Fact]
    public void exact_digits_tell_apart_what_a_double_cannot()
    {
        Assert.Equal(Canonical("0.30000000000000003"), Canonical("0.30000000000000002"));
        Assert.NotEqual(CanonicalJson.Of("0.30000000000000003"u8.ToArray(), exactDigits: true), CanonicalJson.Of("0.30000000000000002"u8.ToArray(), exactDigits: true));
        Assert.Equal(CanonicalJson.Of("12.50"u8.ToArray(), exactDigits: true), CanonicalJson.Of("1.25e1"u8.ToArray(), exactDigits: true));
    }

    /// <summary>However its members are ordered and its text and numbers are spelt.</summary>
    [Fact]
    public void a_value_has_one_form() => Gen.Select(Values, Gen.Int).Sample((value, seed) =>
    {
        var random = new Random(seed);
        var (one, other) = (Spell(value, random), Spell(value, random));
        var canonical = CanonicalJson.Of(Encoding.UTF8.GetBytes(one), exactDigits: true);
        Assert.Equal(canonical, CanonicalJson.Of(Encoding.UTF8.GetBytes(other), exactDigits: true));
        Assert.Equal(canonical, CanonicalJson.Of(canonical, exactDigits: true));
        using var read = JsonDocument.Parse(canonical);
        AssertSame(value, read.RootElement);
    });

    private static readonly Gen<string> Texts = Gen.OneOf(Gen.String[Gen.Char["ab\"\\\n\u0001é€\uFB33"], 0, 4], Gen.Const("\U0001F600"), Gen.Const("plain"));

    private static readonly Gen<object?> Values = Gen.Recursive<object?>((depth, inner) =>
    {
        var leaf = Gen.OneOf(Texts.Select(text => (object?)text), Gen.Decimal[-1_000_000m, 1_000_000m].Select(number => (object?)number),
            Gen.Int[-1000, 1000].Select(number => (object?)(decimal)number), Gen.Bool.Select(flag => (object?)flag), Gen.Const((object?)null));
        return depth > 3 ? leaf : Gen.OneOf(leaf,
            inner.List[0, 4].Select(items => (object?)items),
            Gen.Dictionary(Texts, inner)[0, 6].Select(members => (object?)members));
    });

    private static string Spell(object? value, Random random) => value switch
    {
        null => "null",
        bool flag => flag ? "true" : "false",
        decimal number => number.ToString(CultureInfo.InvariantCulture) + (random.Next(2) == 0 ? "" : number == decimal.Truncate(number) && number.Scale == 0 ? ".00" : "0"),
        string text => "\"" + string.Concat(text.EnumerateRunes().Select(letter => letter.Value is < 32 or '"' or '\\' || random.Next(3) == 0 ? string.Concat(letter.ToString().Select(unit => $"\\u{(int)unit:x4}")) : letter.ToString())) + "\"",
        List<object?> items => $"[{string.Join(" , ", items.Select(item => Spell(item, random)))}]",
        Dictionary<string, object?> members => $"{{{string.Join(",", members.OrderBy(_ => random.Next()).Select(member => $"{Spell(member.Key, random)}: {Spell(member.Value, random)}"))}}}",
        _ => throw new InvalidOperationException(),
    };

    private static void AssertSame(object? value, JsonElement read)
    {
        switch (value)
        {
            case decimal number:
                Assert.Equal(number, decimal.Parse(read.GetRawText(), NumberStyles.Float, CultureInfo.InvariantCulture));
                break;
            case string text:
                Assert.Equal(text, read.GetString());
                break;
            case List<object?> items:
                Assert.Equal(items.Count, read.GetArrayLength());
                foreach (var (item, at) in items.Zip(read.EnumerateArray()))
                    AssertSame(item, at);
                break;
            case Dictionary<string, object?> members:
                Assert.Equal(members.Keys.Order(StringComparer.Ordinal), read.EnumerateObject().Select(member => member.Name));
                foreach (var member in read.EnumerateObject())
                    AssertSame(members[member.Name], member.Value);
                break;
            default:
                Assert.Equal(Spell(value, Random.Shared), read.GetRawText());
                break;
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}{}")]
    [InlineData("{\"a\":1,}")]
    [InlineData("01")]
    public void what_is_no_json_is_refused(string text) => Assert.ThrowsAny<JsonException>(() => CanonicalJson.Of(Encoding.UTF8.GetBytes(text)));

    private static string Canonical(string json) => Encoding.UTF8.GetString(CanonicalJson.Of(Encoding.UTF8.GetBytes(json)));
}

using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Xml;
using Huzhu.Contracts;
using Huzhu.Requests.Domain;
using Huzhu.Requests.Intake;

namespace Huzhu.Requests.Channels.WeChat;

/// <summary>The fields of one callback, as WeChat names them. Personal data, in memory only.</summary>
public sealed class WeChatMessage
{
    private const int MaxCharacters = 64 * 1024;
    private const int MaxFields = 100;
    private const int MaxDepth = 16;
    private const int MaxId = 128;
    /// <summary>WeChat shows no more of a text reply; in bytes.</summary>
    private const int MaxReplyBytes = 2047;

    private readonly FrozenDictionary<string, string> _fields;

    private WeChatMessage(FrozenDictionary<string, string> fields) => _fields = fields;

    /// <summary>The account's own id, which is not its AppId.</summary>
    public string To => this["ToUserName"] ?? "";

    /// <summary>The person's id with this account.</summary>
    public string From => this["FromUserName"] ?? "";

    public string Type => this["MsgType"] ?? "";
    public string Event => this["Event"] ?? "";

    public string? this[string field] => _fields.GetValueOrDefault(field);

    /// <summary>Reads the children of the root element. No DTD, nothing from elsewhere, bounded in every direction.</summary>
    /// <returns>Null when it is not such a document.</returns>
    public static WeChatMessage? Read(string xml)
    {
        var settings = new XmlReaderSettings
        {
            DtdProcessing = DtdProcessing.Prohibit,
            XmlResolver = null,
            MaxCharactersInDocument = MaxCharacters,
            MaxCharactersFromEntities = 1024,
            IgnoreComments = true,
            IgnoreProcessingInstructions = true,
        };
        try
        {
            using var reader = XmlReader.Create(new StringReader(xml), settings);
            if (reader.MoveToContent() != XmlNodeType.Element || reader.Name != "xml")
                return null;
            var fields = new Dictionary<string, string>(StringComparer.Ordinal);
            var (name, text) = ("", new StringBuilder());
            while (reader.Read())
            {
                if (reader.Depth > MaxDepth || fields.Count > MaxFields)
                    return null;
                switch (reader.NodeType)
                {
                    case XmlNodeType.Element when reader.Depth == 1:
                        (name, text) = (reader.Name, new StringBuilder());
                        if (reader.IsEmptyElement && !fields.TryAdd(name, ""))
                            return null;
                        break;
                    case XmlNodeType.Text or XmlNodeType.CDATA when reader.Depth == 2:
                        text.Append(reader.Value);
                        break;
                    // A field that is there twice could mean one thing here and another thing there.
                    case XmlNodeType.EndElement when reader.Depth == 1 && !fields.TryAdd(name, text.ToString()):
                        return null;
                }
            }
            return new WeChatMessage(fields.ToFrozenDictionary(StringComparer.Ordinal));
        }
        catch (XmlException)
        {
            return null;
        }
    }

    /// <summary>Whether it says from whom it is and what it is.</summary>
    public bool IsComplete => From.Length is > 0 and <= MaxId && Type.Length > 0 && (Type == "event" ? Event.Length > 0 : this["MsgId"] is { } id && ulong.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out _));

    /// <summary>What the person said by it; null when it says nothing that counts, and is only acknowledged.</summary>
    public Utterance? ToUtterance(DateTimeOffset now)
    {
        // Events have no id. Those of one second and kind are one event.
        var key = Type == "event" ? $"{this["CreateTime"]} {Event}" : this["MsgId"]!;
        var said = new Utterance(key.Length <= MaxId ? key : key[..MaxId], null, null, null, IsPassive: false, SentAt(now));
        return Type switch
        {
            "text" => said with { Text = this["Content"] },
            // Without recognition there are no words, and the person is asked to write.
            "voice" => said with { Text = this["Recognition"] is { } words && !string.IsNullOrWhiteSpace(words) ? words : null },
            "location" => said with { Pin = PlaceOf("Location_X", "Location_Y"), Address = string.IsNullOrWhiteSpace(this["Label"]) ? null : this["Label"] },
            "event" => Event switch
            {
                "subscribe" or "SCAN" => said with { Text = "menu" },
                // A menu's key is what its button says.
                "CLICK" when !string.IsNullOrWhiteSpace(this["EventKey"]) => said with { Text = this["EventKey"] },
                "LOCATION" when PlaceOf("Latitude", "Longitude") is { } place => said with { Pin = place with { AccuracyMetres = Accuracy }, IsPassive = true },
                _ => null,
            },
            "image" or "video" or "shortvideo" or "link" or "file" => said,
            _ => null,
        };
    }

    /// <summary>A text message back to the person.</summary>
    public string ReplyWith(string text, DateTimeOffset now) => Write(writer =>
    {
        Field(writer, "ToUserName", From);
        Field(writer, "FromUserName", To);
        writer.WriteElementString("CreateTime", now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture));
        Field(writer, "MsgType", "text");
        Field(writer, "Content", Cut(text));
    });

    /// <summary>The envelope of an encrypted reply.</summary>
    public static string Envelope(string encrypted, string signature, string timestamp, string nonce) => Write(writer =>
    {
        Field(writer, "Encrypt", encrypted);
        Field(writer, "MsgSignature", signature);
        writer.WriteElementString("TimeStamp", timestamp);
        Field(writer, "Nonce", nonce);
    });

    private DateTimeOffset SentAt(DateTimeOffset now) =>
        long.TryParse(this["CreateTime"], NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds < now.ToUnixTimeSeconds()
            ? DateTimeOffset.FromUnixTimeSeconds(seconds)
            : now;

    private double? Accuracy => Number("Precision") is >= 0 and <= 1_000_000 and var metres ? metres : null;

    /// <summary>Positions come in the datum of Chinese maps.</summary>
    private ExactPlace? PlaceOf(string latitude, string longitude)
    {
        if (Number(latitude) is not { } north || Number(longitude) is not { } east || new GeoPoint(north, east) is not { IsOnEarth: true } told)
            return null;
        var place = Datum.FromGcj02(told);
        return new ExactPlace(place.Latitude, place.Longitude, null);
    }

    private double? Number(string field) =>
        double.TryParse(this[field], NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : null;

    private static string Cut(string text)
    {
        if (Encoding.UTF8.GetByteCount(text) <= MaxReplyBytes)
            return text;
        var (length, bytes) = (0, 0);
        foreach (var rune in text.EnumerateRunes())
        {
            bytes += rune.Utf8SequenceLength;
            if (bytes > MaxReplyBytes)
                break;
            length += rune.Utf16SequenceLength;
        }
        return text[..length];
    }

    private static void Field(XmlWriter writer, string name, string value)
    {
        writer.WriteStartElement(name);
        writer.WriteCData(value);
        writer.WriteEndElement();
    }

    private static string Write(Action<XmlWriter> fields)
    {
        var text = new StringBuilder();
        // What people wrote may hold characters that XML has no place for; they are left to who reads it.
        using (var writer = XmlWriter.Create(text, new XmlWriterSettings { OmitXmlDeclaration = true, CheckCharacters = false }))
        {
            writer.WriteStartElement("xml");
            fields(writer);
            writer.WriteEndElement();
        }
        return text.ToString();
    }
}

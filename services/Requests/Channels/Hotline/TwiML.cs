using System.Globalization;
using System.Text;
using System.Xml;

namespace Huzhu.Requests.Channels.Hotline;

/// <summary>What the gateway is told to do: Twilio's markup.</summary>
public static class TwiML
{
    public const string ContentType = "text/xml";
    private const int SilenceSeconds = 6;
    /// <summary>A gateway cuts or refuses longer ones.</summary>
    private const int LongestMessage = 1500;

    /// <summary>An answer that says nothing.</summary>
    public static string Nothing { get; } = Write(_ => { });

    public static string Message(string text) => Write(writer => writer.WriteElementString("Message", Clean(text.Length <= LongestMessage ? text : text[..LongestMessage])));

    /// <summary>Says something and listens, to keys and to speech.</summary>
    /// <param name="texts">Each in its language, one after the other.</param>
    /// <param name="turn">The number of the turn that the answer begins.</param>
    /// <param name="silences">How often in a row nothing was heard, this time included.</param>
    public static string Ask(IEnumerable<(string Text, Language Language)> texts, Language hearing, int turn, int silences) => Write(writer =>
    {
        var next = $"voice?turn={turn.ToString(CultureInfo.InvariantCulture)}";
        writer.WriteStartElement("Gather");
        writer.WriteAttributeString("input", "dtmf speech");
        writer.WriteAttributeString("numDigits", "1");
        writer.WriteAttributeString("timeout", SilenceSeconds.ToString(CultureInfo.InvariantCulture));
        writer.WriteAttributeString("speechTimeout", "auto");
        writer.WriteAttributeString("language", TagOf(hearing));
        writer.WriteAttributeString("action", next);
        writer.WriteAttributeString("method", "POST");
        foreach (var (text, language) in texts)
            Say(writer, text, language);
        writer.WriteEndElement();
        writer.WriteStartElement("Redirect");
        writer.WriteAttributeString("method", "POST");
        writer.WriteString($"{next}&silences={(silences + 1).ToString(CultureInfo.InvariantCulture)}");
        writer.WriteEndElement();
    });

    /// <summary>Says something and puts the call through, or ends it when there is nobody to put it through to.</summary>
    public static string End(string text, Language language, string? number = null) => Write(writer =>
    {
        Say(writer, text, language);
        if (number is null)
            writer.WriteElementString("Hangup", null);
        else
            writer.WriteElementString("Dial", number);
    });

    private static void Say(XmlWriter writer, string text, Language language)
    {
        writer.WriteStartElement("Say");
        writer.WriteAttributeString("language", TagOf(language));
        writer.WriteString(Clean(text));
        writer.WriteEndElement();
    }

    private static string TagOf(Language language) => language switch
    {
        Language.Zh => "zh-CN",
        Language.En => "en-US",
    };

    /// <summary>Without what XML has no place for.</summary>
    private static string Clean(string text)
    {
        var clean = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
            if (rune.Value is '\n' or '\t' or >= 0x20 and not (0xFFFE or 0xFFFF))
                clean.Append(rune);
        return clean.ToString();
    }

    private static string Write(Action<XmlWriter> verbs)
    {
        var text = new StringBuilder();
        using (var writer = XmlWriter.Create(text, new XmlWriterSettings { OmitXmlDeclaration = true }))
        {
            writer.WriteStartElement("Response");
            verbs(writer);
            writer.WriteEndElement();
        }
        return text.ToString();
    }
}
